// The round trip of a 64-byte message over TCP, on an idle path and beside a transfer of fixed rate. The floor is the
// same program over the wire alone: an echo at the relay's address, no tunnel. What a tunnel adds is counted from there.

import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketAddress } from '@ztna/protocol';
import type { RoundTrips } from '../lab/echo-client.js';
import { runIperf } from '../lab/iperf.js';
import { startLoadProgram } from '../lab/load-programs.js';
import { findTools } from '../lab/tools.js';
import { openTunnels } from '../lab/tunnels.js';
import { findResult } from '../report/result.js';
import { interleave, ROUNDS, toResult, type Bench, type Measurement } from './bench.js';

/** A third of what the slowest of them carries, so that nobody's queue is full. */
const LOAD_MBIT_PER_S = 50;
/** For the transfer to have begun. */
const LOAD_LEAD_MS = 700;

export const benchLatency: Bench = async (context) => {
  const { network, teardown, options, note } = context;
  const { list, client, iperfPort } = await openTunnels(context);
  const milliseconds = (options.seconds * 1000) / ROUNDS;
  const echo = await startLoadProgram(network.relay, teardown, 'echo-server', { host: network.relay.host });
  const measure = async (address: SocketAddress): Promise<Record<string, number>> => toFigures(await client.ping(address, milliseconds));
  const wire: SocketAddress = { host: network.relay.host, port: echo.number('port') };
  const measurements: Measurement[] = [{ subject: 'floor', params: { load: 'idle' }, measure: () => measure(wire) }];
  for (const tunnel of list) measurements.push({ subject: tunnel.subject, params: { load: 'idle' }, measure: () => measure(tunnel.echo) });
  const tools = findTools('iperf3');
  if (!tools.ok) note(`latency under load is left out: ${tools.reason}`);
  for (const tunnel of tools.ok ? list : []) {
    const { iperf3 } = tools.ok ? tools.path : { iperf3: '' };
    const run = { iperf3, port: iperfPort, address: tunnel.iperf, seconds: (milliseconds + LOAD_LEAD_MS) / 1000, mbitPerS: LOAD_MBIT_PER_S };
    const measureLoaded = async (): Promise<Record<string, number>> => {
      const transfer = runIperf(context, run);
      transfer.catch(() => undefined);
      await sleep(LOAD_LEAD_MS);
      const figures = await measure(tunnel.echo);
      await transfer;
      return figures;
    };
    measurements.push({ subject: tunnel.subject, params: { load: `beside ${LOAD_MBIT_PER_S} Mbit/s` }, measure: measureLoaded });
  }
  note(`latency: one message each millisecond for ${(milliseconds / 1000).toFixed(1)} s, ${ROUNDS} rounds`);
  const results = await interleave('latency', measurements, context);
  const floor = findResult(results, 'latency', 'floor', 'p50_us');
  if (floor === undefined) return results;
  const added = results.filter(({ subject, metric, params }) => subject !== 'floor' && metric === 'p50_us' && params.load === 'idle');
  return [...results, ...added.map(({ subject, value, params }) => toResult('latency', subject, 'added_p50_us', value - floor, params))];
};

const toFigures = ({ p50, p99, p999 }: RoundTrips): Record<string, number> => ({ p50_us: p50, p99_us: p99, p999_us: p999 });
