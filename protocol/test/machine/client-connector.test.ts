// A connector's sessions, from incoming to their end.

import t from 'tap';
import { failureMeaning, type FailureCode } from '@ztna/protocol';
import { AGENT, connectorRig, event, helloAck, incoming, readyConnector, registerAck, sessionClosed } from './client-fixture.js';

const SESSION = { slot: 5, tag: 6 };

t.test('registers as a connector', (t) => {
  const rig = connectorRig();
  rig.start();
  t.match(rig.establish(), [{ message: { type: 'hello', role: 'connector' } }, { message: { type: 'register' } }]);
  t.equal(rig.machine.registered, false);
  rig.receive(helloAck(), registerAck(['web']));
  t.equal(rig.machine.registered, true);
  t.end();
});

t.test('warns of services the relay left out', (t) => {
  const rig = connectorRig({ services: ['web', 'dns'] });
  rig.start();
  t.strictSame(rig.register(undefined, ['web', 'other']).at(-1), event({
    level: 'warn', name: 'services_not_accepted', relay: 'relay-1', services: ['dns'],
  }));
  t.end();
});

t.test('takes a session for a service it serves: first the command, then accept', (t) => {
  const rig = readyConnector();
  t.strictSame(rig.receive(incoming(SESSION)), [
    { kind: 'sessionIncoming', link: 0, session: SESSION, agent: AGENT, service: 'web' },
    { kind: 'send', link: 0, message: { type: 'accept', session: SESSION } },
  ]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

const rejections: [title: string, service: string, agent: string, code: FailureCode][] = [
  ['a service it does not serve', 'dns', AGENT, 'service_not_served'],
  ['an agent of another trust domain', 'web', 'spiffe://evil.test/agent/alice', 'trust_domain_mismatch'],
  ['a connector in place of an agent', 'web', 'spiffe://example.test/connector/alice', 'role_not_allowed'],
  ['something that is no identity', 'web', 'alice', 'identity_invalid'],
];
for (const [title, service, agent, code] of rejections) {
  t.test(`rejects ${title}`, (t) => {
    const rig = readyConnector();
    const reason = failureMeaning(code);
    t.strictSame(rig.receive(incoming(SESSION, service, agent)), [
      { kind: 'send', link: 0, message: { type: 'reject', session: SESSION, code, reason } },
      event({ level: 'warn', name: 'session_rejected', relay: 'relay-1', agent, service, code, reason }),
    ]);
    t.equal(rig.machine.sessionCount, 0);
    t.end();
  });
}

t.test('rejects the session above its bound, and takes the next one after an end', (t) => {
  const rig = readyConnector({ limits: { maxSessions: 2 } });
  rig.receive(incoming({ slot: 1, tag: 1 }), incoming({ slot: 2, tag: 2 }));
  t.match(rig.receive(incoming(SESSION))[0], { message: { type: 'reject', code: 'too_many_sessions' } });
  rig.receive(sessionClosed({ slot: 1, tag: 1 }));
  t.match(rig.receive(incoming(SESSION))[0], { kind: 'sessionIncoming' });
  t.end();
});

t.test('holds 4096 sessions unless told otherwise', (t) => {
  const rig = readyConnector();
  for (let slot = 0; slot < 4_096; slot += 1) rig.receive(incoming({ slot, tag: 0 }));
  t.equal(rig.machine.sessionCount, 4_096);
  t.match(rig.receive(incoming({ slot: 4_096, tag: 0 }))[0], { message: { type: 'reject' } });
  t.end();
});

t.test('the same handle again is a fault of the relay and touches no session', (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION));
  t.strictSame(rig.receive(incoming(SESSION)), [event({
    level: 'warn', name: 'message_ignored', relay: 'relay-1', about: 'incoming', code: 'protocol_error',
    reason: failureMeaning('protocol_error'),
  })]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('the same slot with another tag is another session', (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION), incoming({ ...SESSION, tag: 7 }));
  t.equal(rig.machine.sessionCount, 2);
  t.strictSame(rig.receive(sessionClosed(SESSION)), [{ kind: 'sessionClosed', link: 0, session: SESSION, code: 'session_ended' }]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('closeSession tells the relay once', (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION));
  t.strictSame(rig.step((connector, now) => connector.closeSession(0, SESSION, now)), [
    { kind: 'send', link: 0, message: { type: 'closeSession', session: SESSION } },
  ]);
  t.equal(rig.machine.closeSession(0, SESSION, rig.clock.now), false);
  t.match(rig.receive(sessionClosed(SESSION)), [{ kind: 'event', event: { level: 'debug', name: 'message_ignored' } }]);
  t.end();
});

t.test('sessions end with the connection, and with stop', (t) => {
  const lost = readyConnector();
  lost.receive(incoming(SESSION));
  t.strictSame(lost.lose().at(-1), { kind: 'sessionClosed', link: 0, session: SESSION, code: 'connection_lost' });
  t.equal(lost.machine.sessionCount, 0);
  const stopped = readyConnector();
  stopped.receive(incoming(SESSION));
  t.strictSame(stopped.step((connector, now) => connector.stop(now)).at(-1), { kind: 'sessionClosed', link: 0, session: SESSION, code: 'no_error' });
  t.end();
});
