// Which sessions the relay refuses to open, and what a client achieves with handles that are not its own:
// codes at the client and in the relay's log, and an innocent flow that notices nothing.

import t from 'tap';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { dialAs, joinAs, openPair } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const MALLORY = `spiffe://${TRUST_DOMAIN}/agent/mallory`;

const lab = Lab.create(t);
lab.enrol('agent', 'mallory');
lab.enrol('connector', 'rogue', ['ssh']);
const policy = [
  { allow: ['alice'], services: ['web'] },
  { allow: ['mallory'], services: ['ssh', 'empty'] },
];
const { relay, flow } = await startInnocentLab(t, lab, policy);

const refused = [
  { service: 'nowhere', code: 'service_unknown', reason: /no policy rule names/ },
  { service: 'web', code: 'policy_denied', reason: /mallory may not open web/ },
  { service: 'empty', code: 'connector_absent', reason: /no connector serves empty/ },
] as const;

for (const { service, code, reason } of refused) {
  t.test(`refuses to open ${service} with ${code}`, async (t) => {
    relay.forgetEvents();
    const client = await joinAs(lab, 'agent', 'mallory');
    client.open(service, 7);
    const failed = await client.take('openFailed');
    t.match(failed, { request: 7, code, reason });
    await relay.waitFor('session_refused', { code, service, identity: MALLORY, reason: failed.reason });
    await client.roundTrip();
    await client.close();
    await flow.roundTrip();
  });
}

t.test('refuses a service name that is none with service_unknown, and does not repeat it in the log', async (t) => {
  relay.forgetEvents();
  const client = await joinAs(lab, 'agent', 'mallory');
  client.open('web\u202e\n{"level":"info"}', 7);
  t.match(await client.take('openFailed'), { request: 7, code: 'service_unknown' });
  const logged = await relay.waitFor('session_refused', { code: 'service_unknown' });
  t.notOk('service' in logged);
  await client.close();
});

t.test('refuses to open anything before register, with not_registered', async (t) => {
  relay.forgetEvents();
  const client = await dialAs(lab, 'mallory');
  client.hello('agent').open('ssh', 3);
  t.match(await client.take('openFailed'), { request: 3, code: 'not_registered' });
  await relay.waitFor('session_refused', { code: 'not_registered', identity: MALLORY });
  await client.close();
});

t.test("answers the handles of another's session with session_unknown, whatever is asked of them", async (t) => {
  relay.forgetEvents();
  const agent = await joinAs(lab, 'agent', 'mallory');
  const rogue = await joinAs(lab, 'connector', 'rogue', ['ssh']);
  const { agentEnd, connectorEnd } = await openPair(agent, rogue);
  // Its own session works, so what follows is refused for the handle alone.
  for (const session of [connectorEnd, { ...agentEnd, tag: (agentEnd.tag ^ 1) >>> 0 }, { slot: 0, tag: 0 }, { slot: 0xffff_ffff, tag: 0 }]) {
    agent.send({ type: 'closeSession', session });
    t.match(await agent.take('error'), { code: 'session_unknown', about: 'closeSession' });
    await relay.waitFor('message_refused', { code: 'session_unknown', about: 'closeSession', identity: MALLORY });
    relay.forgetEvents();
  }
  rogue.send({ type: 'reject', session: agentEnd, code: 'agent_not_allowed', reason: '' });
  t.match(await rogue.take('error'), { code: 'session_unknown', about: 'reject' });
  rogue.send({ type: 'accept', session: agentEnd });
  t.match(await rogue.take('sessionClosed'), { code: 'session_unknown', session: agentEnd });
  await relay.waitFor('message_refused', { code: 'session_unknown', about: 'accept' });
  rogue.send({ type: 'accept', session: connectorEnd });
  t.match(await rogue.take('error'), { code: 'unexpected_message', about: 'accept' });

  agent.sendSessionDatagram(agentEnd, Buffer.from('still there'));
  await rogue.whenDatagrams(1);
  await agent.close();
  await rogue.close();
});

t.test('the innocent flow is untouched and no secret was logged', async (t) => {
  await flow.roundTrip();
  checkNoSecretsLogged(t, lab);
});
