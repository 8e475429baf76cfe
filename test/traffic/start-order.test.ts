// Processes come up in any order, and the relay may be killed and come back: clients find it again.

import t from 'tap';
import { Lab } from '../harness/lab.js';
import { waitForCount } from '../harness/overlay.js';
import { exchange, startEchoBackend } from '../harness/tcp.js';

const RULES = [{ allow: ['alice'], services: ['app'] }];
/** A silent relay is given up after a ping interval of 10 s and 5 s without a pong; then a few dials. */
const RECONNECT_LIMIT_MS = 30_000;

const lab = Lab.create(t);
lab.enrol('agent', 'alice');
lab.enrol('connector', 'late', ['app']);
const echo = await startEchoBackend(t);

t.test('an agent that was there before the relay and the connector works once they are up', async (t) => {
  // Started and killed to learn a port; nobody listens there while the agent starts.
  const scout = await lab.startRelay(RULES);
  const port = lab.relayPort;
  await scout.kill();
  const agent = lab.runAgent('alice', [{ service: 'app' }]);
  await agent.process.waitFor('disconnected', { code: 'relay_unreachable' });

  const relay = await lab.startRelay(RULES, { port });
  await agent.process.waitFor('registered');
  const { ending } = await exchange(t, agent.port('app'), 'too early');
  t.equal(ending, 'ECONNRESET', 'without a connector a flow is refused');
  await agent.process.waitFor('session_refused', { code: 'connector_absent' });

  const connector = await lab.startConnector('late', { app: { backend: echo.address } });
  t.equal((await exchange(t, agent.port('app'), 'at last')).received.toString(), 'at last');

  await relay.kill();
  const killed = performance.now();
  await lab.startRelay(RULES, { port });
  await Promise.all([waitForCount(agent.process, 'registered', 2), waitForCount(connector, 'registered', 2)]);
  const took = performance.now() - killed;
  t.comment(`agent and connector back ${Math.round(took)} ms after kill -9 of the relay`);
  t.ok(took < RECONNECT_LIMIT_MS);
  t.equal((await exchange(t, agent.port('app'), 'again')).received.toString(), 'again', 'a new flow works');
});
