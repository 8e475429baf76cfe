// kill -9 of a connector and its restart under the same identity: the relay holds the dead connection for up to
// 30 s, which nobody has to wait for.

import t from 'tap';
import { CONNECTOR, countEvents, startOverlay } from '../harness/overlay.js';
import { scaledByLoad } from '../harness/patience.js';
import { exchange, openTcp, outcome, startTcpBackend } from '../harness/tcp.js';

const RETURN_LIMIT_MS = 5_000;

const backend = await startTcpBackend(t, (socket) => {
  socket.once('data', (request: Buffer) => {
    if (request.toString() === 'who?') socket.end('here');
  });
});
const services = { app: { backend: backend.address } };
const overlay = await startOverlay(t, services);
const { lab, agent } = overlay;
let { connector, relay } = overlay;
const agentPort = agent.port('app');

t.test('flows to a killed connector are reset as soon as its successor registers, and new ones work at once', async (t) => {
  t.equal((await exchange(t, agentPort, 'who?')).received.toString(), 'here');
  const accepted = backend.next();
  const held = await openTcp(t, agentPort);
  const ended = outcome(held);
  held.write('hold');
  await accepted;
  const killed = performance.now();
  await connector.kill();
  connector = await lab.startConnector(CONNECTOR, services);
  t.equal((await ended).ending, 'ECONNRESET');
  const reset = performance.now();
  t.equal((await exchange(t, agentPort, 'who?')).received.toString(), 'here');
  const took = performance.now() - killed;
  t.comment(`reset after ${Math.round(reset - killed)} ms, a new flow after ${Math.round(took)} ms`);
  t.ok(took < scaledByLoad(RETURN_LIMIT_MS));
  t.match(await agent.process.waitFor('service_connection_ended', { code: 'registration_replaced' }), { service: 'app' });
});

t.test('a flow opened while the connector was dead is reset when its successor registers, and the next gets through', async (t) => {
  await connector.kill();
  const began = performance.now();
  const early = exchange(t, agentPort, 'who?');
  connector = await lab.startConnector(CONNECTOR, services);
  t.equal((await early).ending, 'ECONNRESET');
  t.equal((await exchange(t, agentPort, 'who?')).received.toString(), 'here');
  t.ok(performance.now() - began < scaledByLoad(RETURN_LIMIT_MS));
});

t.test('after the relay and the connector were killed, a flow waits for the connector to come back', async (t) => {
  await connector.kill();
  await relay.kill();
  agent.process.forgetEvents();
  const back = agent.process.waitFor('registered');
  relay = await lab.restartRelay();
  await back;
  const flow = exchange(t, agentPort, 'who?');
  await relay.waitFor('session_refused', { code: 'connector_absent' });
  connector = await lab.startConnector(CONNECTOR, services);
  t.equal((await flow).received.toString(), 'here', 'the flow was not refused meanwhile');
});

t.test('a connector that stays away is a refusal again, after 5 s at most', async (t) => {
  await connector.stop();
  const { ending } = await exchange(t, agentPort, 'who?');
  t.equal(ending, 'ECONNRESET');
  t.match(await agent.process.waitFor('flow_refused'), { code: 'connector_absent' });
  const again = performance.now();
  agent.process.forgetEvents();
  t.equal((await exchange(t, agentPort, 'who?')).ending, 'ECONNRESET');
  t.match(await agent.process.waitFor('flow_refused'), { code: 'connector_absent' });
  t.equal(countEvents(agent.process, 'session_refused'), 1, 'and from then on it is told at once');
  t.ok(performance.now() - again < scaledByLoad(RETURN_LIMIT_MS));
});
