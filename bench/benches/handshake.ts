// Agents from nothing to a flow that works: how many per second when eight come at a time, how long one takes, and how
// long the first flow takes of one that is registered already. The product's own agent, each new one with a mutual TLS
// handshake at the relay, a registration, a session, and a second handshake with the connector.

import { startLoadProgram } from '../lab/load-programs.js';
import { Overlay } from '../lab/overlay.js';
import type { Program } from '../lab/program.js';
import type { ChurnRequest } from '../load/agent-churn.js';
import { interleave, ROUNDS, type Bench, type Measurement } from './bench.js';

const AT_A_TIME = 8;
const PATIENCE_MS = 30_000;
/** One source makes all of them: the relay's bounds per source are not what is measured. */
export const NO_SOURCE_LIMITS = { source: { handshakes: { perSecond: 100_000, burst: 100_000 }, connections: 1_000_000 } };

export const benchHandshake: Bench = async (context) => {
  const { network, teardown, options, note } = context;
  const agents = Array.from({ length: AT_A_TIME }, (_, index) => `agent-${index + 1}`);
  const overlay = await Overlay.start({
    network, teardown, agents, connectors: { 'connector-1': ['echo'] }, algorithm: 'ed25519',
    relay: { limits: { ...NO_SOURCE_LIMITS, client: { opens: { perSecond: 100_000, burst: 100_000 } } } },
  });
  const echo = await startLoadProgram(network.connector, teardown, 'echo-server', { host: '127.0.0.1' });
  await overlay.startConnector('connector-1', { echo: `127.0.0.1:${echo.number('port')}` });
  const configs = agents.map((agent) => overlay.writeClient(agent));
  const program = await startLoadProgram(network.agent, teardown, 'agent-churn', { configs, service: 'echo' });
  const milliseconds = (options.seconds * 1000) / ROUNDS;
  note(`handshake: for ${(milliseconds / 1000).toFixed(1)} s each, ${ROUNDS} rounds; all agents in one process`);
  await churn(program, { milliseconds: 500, concurrency: AT_A_TIME, isCold: false });
  const measurements: Measurement[] = [
    {
      subject: 'ztna',
      params: { 'at a time': AT_A_TIME },
      measure: async () => ({ agents_per_s: (await churn(program, { milliseconds, concurrency: AT_A_TIME, isCold: false })).perSecond }),
    },
    {
      subject: 'ztna',
      params: { 'at a time': 1 },
      measure: async () => ({
        new_agent_ms: (await churn(program, { milliseconds, concurrency: 1, isCold: false })).p50,
        cold_flow_ms: (await churn(program, { milliseconds, concurrency: 1, isCold: true })).p50,
      }),
    },
  ];
  return interleave('handshake', measurements, context);
};

let requests = 0;
const churn = async (program: Program, request: Omit<ChurnRequest, 'id'>): Promise<{ perSecond: number; p50: number }> => {
  const id = ++requests;
  program.tell({ id, ...request });
  await program.until(() => program.state.answered === id, 'agents', request.milliseconds + PATIENCE_MS);
  if (typeof program.state.failure === 'string') throw new Error(program.state.failure);
  return { perSecond: program.number('perSecond'), p50: program.number('p50') };
};
