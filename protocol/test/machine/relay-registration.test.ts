// Registration: the token's verdict, its answer and its consequences.

import t from 'tap';
import { close, EPOCH_MS, eventCodes, incomingOf, messages, peer, RelayFixture, send, uri } from './relay-fixture.js';

t.test('acknowledges a registration with the services of its token', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'connector', 'c1');
  relay.hello(1, 'connector');
  relay.now = 500;
  const identity = uri('connector', 'c1');
  t.same(relay.register(1, { services: ['web', 'ssh', 'web'] }), [
    send(1, { type: 'registerAck', services: ['web', 'ssh'] }),
    {
      kind: 'event',
      event: {
        level: 'info',
        name: 'registration_accepted',
        conn: 1,
        identity,
        keyId: 'key-1',
        services: ['web', 'ssh'],
      },
    },
  ]);
  const { identity: expected, fingerprint, certificateServices } = peer('connector', 'c1');
  const context = { identity: expected, fingerprint, certificateServices, nowEpochMs: EPOCH_MS + 500 };
  t.same(relay.verified, [context], 'the verifier sees the certificate and the wall clock');
  t.match(relay.machine.stats(), { registeredConnectors: 1, services: 2 });
  t.end();
});

t.test('refuses a registration with the code of the verdict and keeps the connection', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.hello(1, 'agent');
  const code = 'token_expired';
  const identity = uri('agent', 'alice');
  t.same(relay.register(1, { code, reason: 'too late' }), [
    send(1, { type: 'registerNack', code, reason: 'too late' }),
    {
      kind: 'event',
      event: {
        level: 'warn',
        name: 'registration_refused',
        conn: 1,
        identity,
        code,
        reason: 'too late',
        closing: false,
      },
    },
  ]);
  t.same(messages(relay.open(1, 'web', 4), 1), [
    { type: 'openFailed', request: 4, code: 'not_registered', reason: 'register before opening sessions' },
  ]);
  t.same(messages(relay.register(1, { services: [] }), 1), [{ type: 'registerAck', services: [] }]);
  t.end();
});

t.test('closes the connection at the tenth refusal in a row', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.hello(1, 'agent');
  const bad = { code: 'token_replayed', reason: 'seen' } as const;
  for (let count = 1; count < 10; count += 1) t.equal(relay.register(1, bad).length, 2, `refusal ${count}`);
  const commands = relay.register(1, bad);
  t.same(eventCodes(commands), ['registration_refused token_replayed'], 'one event, as for every refusal');
  t.match(messages(commands, 1), [{ type: 'registerNack' }]);
  t.same(commands.at(-1), close(1, 'token_replayed', '10 registrations refused in a row'));
  t.same(relay.register(1, { services: [] }), [], 'the closed connection cannot register');
  t.end();
});

t.test('counts refusals from zero again after an acceptance', (t) => {
  const relay = new RelayFixture({ limits: { maxFailedRegistrations: 2 } });
  relay.connect(1, 'agent', 'alice');
  relay.hello(1, 'agent');
  const bad = { code: 'token_expired', reason: 'late' } as const;
  relay.register(1, bad);
  relay.register(1, { services: [] });
  t.notMatch(relay.register(1, bad), [{ kind: 'close' }]);
  t.match(relay.register(1, bad).at(-1), { kind: 'close' });
  t.end();
});

t.test('refuses more services than a registration may hold', (t) => {
  const relay = new RelayFixture();
  relay.connect(1, 'connector', 'c1');
  relay.hello(1, 'connector');
  const services = Array.from({ length: 65 }, (_, index) => `s${index}`);
  t.same(messages(relay.register(1, { services }), 1), [
    { type: 'registerNack', code: 'too_many_services', reason: '65 services, at most 64 are allowed' },
  ]);
  t.equal(relay.machine.stats().services, 0);
  t.match(messages(relay.register(1, { services: services.slice(1) }), 1), [{ type: 'registerAck' }]);
  t.equal(relay.machine.stats().services, 64);
  t.end();
});

t.test('replaces what a connector serves when it registers again, keeping its open sessions', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  relay.session(1, 'web');
  t.same(eventCodes(relay.register(2, { services: ['ssh'] })), ['registration_accepted -']);
  t.match(messages(relay.open(1, 'web'), 1), [{ type: 'openFailed', code: 'connector_absent' }]);
  t.equal(incomingOf(relay.open(1, 'ssh')).conn, 2);
  t.equal(relay.machine.stats().sessions, 2);
  t.end();
});

t.test('keeps the earlier registration when a later one is refused', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  relay.register(2, { code: 'token_expired', reason: 'late' });
  t.equal(incomingOf(relay.open(1, 'web')).conn, 2);
  t.end();
});

t.test('lets the newer connection of a connector identity win, with a warning', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  const { agentEnd } = relay.session(1, 'web');
  relay.connect(3, 'connector', 'c1');
  relay.hello(3, 'connector');
  const identity = uri('connector', 'c1');
  const code = 'registration_replaced';
  t.same(relay.register(3, { services: ['web'] }).slice(2), [
    { kind: 'event', event: { level: 'warn', name: code, conn: 2, identity, code, by: 3 } },
    close(2, code, 'a newer connection registered this identity'),
    send(1, { type: 'sessionClosed', session: agentEnd, code }),
    {
      kind: 'event',
      event: {
        level: 'info',
        name: 'session_closed',
        conn: 1,
        identity: uri('agent', 'alice'),
        service: 'web',
        connector: identity,
        code,
      },
    },
  ]);
  t.same(eventCodes(relay.disconnect(2)), ['client_disconnected -']);
  t.equal(incomingOf(relay.open(1, 'web')).conn, 3);
  t.end();
});

t.test('lets the newest win however often an identity registers anew', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  for (const conn of [2, 3, 4]) relay.joinConnector(conn, 'c1', ['web']);
  t.match(relay.machine.stats(), { registeredConnectors: 1, services: 1 });
  t.same([incomingOf(relay.open(1, 'web')).conn, incomingOf(relay.open(1, 'web')).conn], [4, 4]);
  t.end();
});

t.test('does not take a connector that comes back after it left for a replacement', (t) => {
  const relay = new RelayFixture();
  relay.joinConnector(2, 'c1', ['web']);
  relay.disconnect(2);
  relay.connect(3, 'connector', 'c1');
  relay.hello(3, 'connector');
  t.same(eventCodes(relay.register(3, { services: ['web'] })), ['registration_accepted -']);
  t.end();
});

t.test('moves an open that waits for the replaced connection to the newer one', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  relay.open(1, 'web');
  relay.connect(3, 'connector', 'c1');
  relay.hello(3, 'connector');
  const commands = relay.register(3, { services: ['web'] });
  t.equal(incomingOf(commands).conn, 3);
  t.same(eventCodes(commands), [
    'registration_accepted -',
    'registration_replaced registration_replaced',
    'session_failover registration_replaced',
  ]);
  t.end();
});

t.test('lets one agent identity hold several connections', (t) => {
  const relay = new RelayFixture();
  relay.joinConnector(3, 'c1', ['web']);
  relay.joinAgent(1, 'alice');
  relay.joinAgent(2, 'alice');
  const first = relay.session(1, 'web');
  const second = relay.session(2, 'web');
  t.notSame(first.agentEnd, second.agentEnd);
  t.match(relay.machine.stats(), { connections: 3, identities: 2, sessions: 2 });
  t.end();
});

t.test('takes an agent and a connector of one name for two identities', (t) => {
  const relay = new RelayFixture();
  relay.joinConnector(1, 'alice', ['web']);
  relay.joinAgent(2, 'alice');
  relay.session(2, 'web');
  t.match(relay.machine.stats(), { connections: 2, identities: 2, sessions: 1 });
  t.end();
});
