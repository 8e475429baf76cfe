// An agent's sessions, from openSession to their end.

import t from 'tap';
import {
  agentRig, CONNECTOR, HELLO, open, opened, readyAgent, REGISTER, sessionClosed,
} from './client-fixture.js';

const SESSION = { slot: 3, tag: 0xdead_beef };

t.test('pipelines opens made before the connection behind hello and register', (t) => {
  const rig = agentRig();
  rig.start();
  t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), [], 'nothing is sent while dialing');
  rig.step((agent, now) => agent.openSession('dns', now));
  t.strictSame(rig.establish(), [HELLO, REGISTER, open(1, 'web'), open(2, 'dns')]);
  t.strictSame(rig.step((agent, now) => agent.openSession('ssh', now)), [open(3, 'ssh')], 'nor does one wait for registerAck');
  t.end();
});

t.test('a request before start waits for it', (t) => {
  const rig = agentRig();
  rig.step((agent, now) => agent.openSession('web', now));
  t.equal(rig.machine.pendingCount, 1);
  rig.start();
  t.strictSame(rig.establish().at(-1), open(1, 'web'));
  t.end();
});

t.test('an opened request becomes a session with its connector', (t) => {
  const rig = readyAgent();
  let request = -1;
  t.strictSame(rig.step((agent, now) => (request = agent.openSession('web', now))), [open(request, 'web')]);
  t.strictSame(rig.receive(opened(request, SESSION)), [
    { kind: 'sessionOpened', request, service: 'web', link: 0, session: SESSION, connector: CONNECTOR },
  ]);
  t.equal(rig.machine.sessionCount, 1);
  t.equal(rig.machine.pendingCount, 0);
  t.end();
});

t.test('a refused open fails at once with the code of the relay, and the text safe to print', (t) => {
  const rig = readyAgent();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.step((agent, now) => agent.openSession('dns', now));
  t.strictSame(rig.receive({ type: 'openFailed', request: 1, code: 'policy_denied', reason: 'no\u0007' }), [
    { kind: 'sessionFailed', request: 1, service: 'web', code: 'policy_denied', reason: 'no\ufffd' },
  ]);
  t.equal(rig.machine.pendingCount, 1, 'the other request still waits');
  t.end();
});

t.test('a session that the relay closes ends with its code', (t) => {
  const rig = withSession();
  t.strictSame(rig.receive({ type: 'sessionClosed', session: SESSION, code: 'connector_gone' }), [
    { kind: 'sessionClosed', link: 0, session: SESSION, code: 'connector_gone' },
  ]);
  t.equal(rig.machine.sessionCount, 0);
  t.end();
});

t.test('closeSession tells the relay once, and needs both slot and tag', (t) => {
  const rig = withSession();
  t.strictSame(rig.step((agent, now) => agent.closeSession(0, { ...SESSION, tag: 1 }, now)), []);
  t.strictSame(rig.step((agent, now) => agent.closeSession(0, { ...SESSION, slot: 4 }, now)), []);
  t.equal(rig.machine.sessionCount, 1);
  t.strictSame(rig.step((agent, now) => agent.closeSession(0, SESSION, now)), [
    { kind: 'send', link: 0, message: { type: 'closeSession', session: SESSION } },
  ]);
  t.equal(rig.machine.closeSession(0, SESSION, rig.clock.now), false);
  t.strictSame(rig.step(() => undefined), []);
  t.end();
});

t.test('a slot that is used again with another tag is another session', (t) => {
  const rig = withSession();
  rig.receive(sessionClosed(SESSION));
  const again = { ...SESSION, tag: 7 };
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.receive(opened(2, again)), [{ kind: 'sessionOpened', session: again }]);
  t.match(rig.receive(sessionClosed(SESSION)), [{ kind: 'event' }], 'the old name ends nothing');
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('all sessions end with the connection, after the disconnect is reported', (t) => {
  const rig = withSession();
  rig.step((agent, now) => agent.openSession('dns', now));
  rig.receive(opened(2, { slot: 4, tag: 1 }));
  t.match(rig.lose(), [
    { kind: 'event', event: { name: 'disconnected' } },
    { kind: 'sessionClosed', link: 0, session: SESSION, code: 'connection_lost' },
    { kind: 'sessionClosed', link: 0, session: { slot: 4, tag: 1 }, code: 'connection_lost' },
  ]);
  t.equal(rig.machine.sessionCount, 0);
  t.end();
});

t.test('stop ends sessions and requests, and later requests fail at once', (t) => {
  const rig = withSession();
  rig.step((agent, now) => agent.openSession('dns', now));
  const stopped = { code: 'no_error', reason: 'the agent is stopped' };
  t.strictSame(rig.step((agent, now) => agent.stop(now)), [
    { kind: 'disconnect', link: 0, code: 'no_error', reason: 'stopped' },
    { kind: 'sessionClosed', link: 0, session: SESSION, code: 'no_error' },
    { kind: 'sessionFailed', request: 2, service: 'dns', ...stopped },
  ]);
  t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), [
    { kind: 'sessionFailed', request: 3, service: 'web', ...stopped },
  ]);
  t.equal(rig.machine.pollTimeout(), undefined);
  t.end();
});

t.test('a name that can be no service fails without asking the relay', (t) => {
  const rig = readyAgent();
  t.match(rig.step((agent, now) => agent.openSession('x'.repeat(5_000), now)), [
    { kind: 'sessionFailed', request: 1, code: 'service_unknown' },
  ]);
  t.end();
});

t.test('the 1025th request without an answer is refused here', (t) => {
  const rig = agentRig();
  for (let n = 0; n < 1_024; n += 1) t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), []);
  t.match(rig.step((agent, now) => agent.openSession('web', now)), [
    { kind: 'sessionFailed', request: 1_025, service: 'web', code: 'too_many_sessions' },
  ]);
  t.equal(rig.machine.pendingCount, 1_024);
  t.end();
});

t.test('32 requests are at the relay at a time; each answer lets the next one go', (t) => {
  const rig = agentRig();
  for (let n = 0; n < 40; n += 1) rig.step((agent, now) => agent.openSession('web', now));
  rig.start();
  const sent = rig.establish().slice(2);
  t.strictSame(sent, Array.from({ length: 32 }, (_, n) => open(n + 1, 'web')));
  rig.register();
  t.strictSame(rig.receive({ type: 'openFailed', request: 5, code: 'connector_absent', reason: '' }).at(-1), open(33, 'web'));
  t.strictSame(rig.receive(opened(9, SESSION)).at(-1), open(34, 'web'));
  t.end();
});

function withSession() {
  const rig = readyAgent();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(opened(1, SESSION));
  return rig;
}
