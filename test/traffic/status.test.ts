// SIGUSR2: each process says what it holds, and goes on.

import { once } from 'node:events';
import t from 'tap';
import type { ManagedProcess } from '../harness/managed-process.js';
import { allFlowsClosed, startOverlay } from '../harness/overlay.js';
import { closed, openTcp, startEchoBackend } from '../harness/tcp.js';

const statusOf = async (process: ManagedProcess) => {
  const answer = process.waitForNext(({ event }) => event === 'status', 'status');
  process.child.kill('SIGUSR2');
  return await answer;
};

t.test('counts, memory and open handles of each process, with a flow and without', async (t) => {
  const backend = await startEchoBackend(t);
  const { agent, relay, connector } = await startOverlay(t, { echo: { backend: backend.address } });
  t.match(await statusOf(agent.process), { level: 'info', counts: { registered: 1, sessions: 0, flows: 0, innerConnections: 0 } });

  const client = await openTcp(t, agent.port('echo'));
  const echoed = once(client, 'data');
  client.write('open');
  await echoed;
  t.match(await statusOf(agent.process), { counts: { sessions: 1, paths: 1, flows: 1, innerConnections: 1, pendingOpens: 0 }, resources: { TCPSocketWrap: 1 } });
  t.match(await statusOf(connector), { counts: { registered: 1, sessions: 1, paths: 1, flows: 1, innerConnections: 1 }, resources: { TCPSocketWrap: 1 } });
  const { counts, memory } = await statusOf(relay);
  t.match(counts, { connections: 2, registeredConnectors: 1, sessions: 1, pendingSessions: 0, sessionEnds: 2, quicConnections: 2 });
  t.ok((memory as { rss: number }).rss > 2 ** 20, 'bytes');

  const ended = closed(backend.accepted[0]!);
  client.destroy();
  await Promise.all([ended, allFlowsClosed(connector)]);
  t.match(await statusOf(connector), { counts: { sessions: 1, flows: 0 } });
});
