// A connector that stops answering while its connections stand: no flow waits for it for ever.

import t from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { exchange, startTaggedBackend } from '../harness/tcp.js';

/** Of agent.ts. */
const ANSWER_TIMEOUT_MS = 15_000;

t.test('a flow whose connector does not answer is refused in time, and the dead connection given up', async (t) => {
  const backend = await startTaggedBackend(t, 'a');
  const { agent, connector } = await startOverlay(t, { web: { backend: backend.address } });
  const port = agent.port('web');
  t.equal((await exchange(t, port, 'who?')).received.toString(), 'a');
  connector.child.kill('SIGSTOP');
  t.teardown(() => connector.child.kill('SIGCONT'));
  const started = performance.now();
  t.equal((await exchange(t, port, 'who?')).ending, 'ECONNRESET');
  const took = performance.now() - started;
  t.ok(took >= ANSWER_TIMEOUT_MS - 100 && took < 2 * ANSWER_TIMEOUT_MS, `after ${Math.round(took)} ms`);
  t.match(await agent.process.waitFor('flow_refused'), { service: 'web', code: 'connector_timeout', reason: 'the connector has not answered within 15 s' });
  await agent.process.waitFor('service_connection_ended', { code: 'connection_lost' });
  connector.child.kill('SIGCONT');
  t.equal((await exchange(t, port, 'who?')).received.toString(), 'a', 'a new connection, as soon as it answers again');
});
