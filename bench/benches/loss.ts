// TCP through the overlay over a bad link between agent and relay: our own emulator, seeded, with random loss each way
// and half of the round trip's delay each way, no bandwidth limit. What the emulator itself carries is measured and
// reported as the floor.

import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketAddress } from '@ztna/protocol';
import { runIperf } from '../lab/iperf.js';
import { startEmulator, startUdpLoad } from '../lab/load-programs.js';
import { findTools } from '../lab/tools.js';
import { openTunnels } from '../lab/tunnels.js';
import type { Result } from '../report/result.js';
import { interleave, ROUNDS, type Bench, type BenchContext, type Measurement } from './bench.js';
import { offer, PACKET_BYTES } from './relay.js';

const LOSS_PERCENT = [0, 0.1, 1, 3] as const;
/** Added round trip, ms. */
const DELAYS_MS = [20, 80] as const;
const SEED = 20_260_101;
/** More than any subject reaches: what the emulator then carries is its bound. */
const FLOOD_PER_S = 60_000;
const PAUSE_MS = 200;
/** TCP over 80 ms takes seconds to find its rate; less would measure slow start alone. */
const MIN_RUN_S = 3;

export const benchLoss: Bench = async (context) => {
  const { options, note } = context;
  const tools = findTools('iperf3');
  if (!tools.ok) {
    note(`loss is left out: ${tools.reason}`);
    return [];
  }
  const seconds = options.seconds < ROUNDS ? 1 : Math.max(MIN_RUN_S, Math.round(options.seconds / ROUNDS));
  note(`loss: iperf3, one stream up, for ${seconds} s, ${ROUNDS} rounds; the seed is ${SEED}`);
  const results: Result[] = [];
  for (const delay of DELAYS_MS)
    for (const percent of LOSS_PERCENT) results.push(...(await overLink(context, { percent, delay, seconds, iperf3: tools.path.iperf3 })));
  return results;
};

interface Link {
  readonly percent: number;
  readonly delay: number;
  readonly seconds: number;
  readonly iperf3: string;
}

const overLink = async (context: BenchContext, { percent, delay, seconds, iperf3 }: Link): Promise<Result[]> => {
  const { network } = context;
  const teardown = context.teardown.child();
  const own = { ...context, teardown };
  const params = { '% loss': percent, 'ms delay': delay };
  const between = async (target: SocketAddress): Promise<SocketAddress> => {
    const emulator = await startEmulator(network.relay, teardown, { listen: { host: network.relay.host, port: 0 }, target, seed: SEED, loss: percent / 100, delayMs: delay / 2 });
    return { host: network.relay.host, port: emulator.number('port') };
  };
  try {
    const { list, iperfPort } = await openTunnels({ ...own, between, subjects: ['ztna', 'nebula'] });
    const measurements: Measurement[] = list.map((tunnel) => ({
      subject: tunnel.subject,
      params,
      measure: async () => {
        const rate = await runIperf(own, { iperf3, port: iperfPort, address: tunnel.iperf, seconds });
        await sleep(PAUSE_MS);
        return { mbit_per_s: rate };
      },
    }));
    if (percent === 0) measurements.push(await emulatorAlone(own, params, between));
    return await interleave('loss', measurements, own);
  } finally {
    await teardown.end();
  }
};

/** What the emulator carries of bare UDP, with nothing behind it but a counter. */
const emulatorAlone = async ({ network, teardown, options }: BenchContext, params: Measurement['params'], between: (target: SocketAddress) => Promise<SocketAddress>): Promise<Measurement> => {
  const receiver = await startUdpLoad(network.connector, teardown, { role: 'receive', host: network.connector.host });
  const target = await between({ host: network.connector.host, port: receiver.number('port') });
  const sender = await startUdpLoad(network.agent, teardown, { role: 'send', host: network.agent.host, target, packetBytes: PACKET_BYTES });
  // The emulator's own CPU is not of interest: any process will do.
  const loaded = { relay: sender, sender, receiver };
  const milliseconds = Math.max(300, (options.seconds * 1000) / ROUNDS);
  return {
    subject: 'floor',
    params,
    measure: async () => {
      const { datagrams_per_s } = await offer(loaded, FLOOD_PER_S, milliseconds);
      return { mbit_per_s: (datagrams_per_s! * PACKET_BYTES * 8) / 1_000_000 };
    },
  };
};
