// The same connector identity in two processes: the newer one serves, the older one's sessions end with a code.

import t from 'tap';
import { AGENT, CONNECTOR, startOverlay } from '../harness/overlay.js';
import { exchange, openTcp, outcome, startEchoBackend, startTaggedBackend } from '../harness/tcp.js';

const older = await startEchoBackend(t);
const newer = await startTaggedBackend(t, 'newer');
const { lab, relay, connector, agent } = await startOverlay(t, { app: { backend: older.address } });

t.test('a newer registration takes over, loudly', async (t) => {
  const backendSeen = older.next();
  const held = await openTcp(t, agent.port('app'));
  const ended = outcome(held);
  held.write('held open');
  await agent.process.waitFor('session_opened');
  await backendSeen;

  const code = 'registration_replaced';
  await lab.startConnector(CONNECTOR, { app: { backend: newer.address } });
  t.match(await relay.waitFor('registration_replaced'), { level: 'warn', code, identity: `spiffe://example.test/connector/${CONNECTOR}` });
  t.match(await relay.waitFor('session_closed'), { service: 'app', identity: `spiffe://example.test/agent/${AGENT}`, code });
  t.match(await agent.process.waitFor('service_connection_ended'), { service: 'app', code });
  t.match(await connector.waitFor('disconnected'), { level: 'warn', code });
  t.equal((await ended).ending, 'ECONNRESET', 'the open flow was reset');
  t.equal((await exchange(t, agent.port('app'), 'who?')).received.toString(), 'newer', 'the next flow is with the newer one');
});
