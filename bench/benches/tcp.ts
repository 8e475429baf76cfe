// TCP through agent, relay and connector, as iperf3 sees it: 1 and 8 streams, up (agent to connector) and down. Beside it
// Nebula through its relay, and ssh -L through a jump host.

import { runIperf } from '../lab/iperf.js';
import { findTools } from '../lab/tools.js';
import { openTunnels } from '../lab/tunnels.js';
import { interleave, ROUNDS, type Bench, type Measurement } from './bench.js';

const STREAMS = [1, 8] as const;
const DIRECTIONS = ['up', 'down'] as const;

export const benchTcp: Bench = async (context) => {
  const { options, note } = context;
  const tools = findTools('iperf3');
  if (!tools.ok) {
    note(`tcp is left out: ${tools.reason}`);
    return [];
  }
  const { list, iperfPort } = await openTunnels(context);
  const seconds = Math.max(1, Math.round(options.seconds / ROUNDS));
  note(`tcp: iperf3 for ${seconds} s, ${ROUNDS} rounds`);
  const measurements = STREAMS.flatMap((streams) =>
    DIRECTIONS.flatMap((direction) =>
      list.map((tunnel): Measurement => ({
        subject: tunnel.subject,
        params: { streams, direction },
        measure: async () => ({
          mbit_per_s: await runIperf(context, { iperf3: tools.path.iperf3, port: iperfPort, address: tunnel.iperf, seconds, streams, isDownload: direction === 'down' }),
        }),
      })),
    ),
  );
  return interleave('tcp', measurements, context);
};
