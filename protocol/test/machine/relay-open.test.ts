// Opening a session: the checks in their order, the connectors asked in turn, the answer.

import t from 'tap';
import type { FailureCode, RelayLimits } from '@ztna/protocol';
import { eventCodes, events, incomingOf, messages, RelayFixture, send, uri } from './relay-fixture.js';

t.test('asks the connector, then hands each side its own handle', (t) => {
  const relay = withWeb();
  const agentEnd = { slot: 0, tag: 0xa000_0001 };
  const connectorEnd = { slot: 1, tag: 0xa000_0002 };
  const agent = uri('agent', 'alice');
  const connector = uri('connector', 'c1');
  t.same(relay.open(1, 'web', 7), [send(2, { type: 'incoming', session: connectorEnd, agent, service: 'web' })]);
  t.match(relay.machine.stats(), { sessions: 1, pendingSessions: 1, sessionEnds: 2 });
  t.same(relay.say(2, { type: 'accept', session: connectorEnd }), [
    send(1, { type: 'opened', request: 7, session: agentEnd, connector }),
    {
      kind: 'event',
      event: { level: 'info', name: 'session_opened', conn: 1, identity: agent, service: 'web', connector },
    },
  ]);
  t.match(relay.machine.stats(), { sessions: 1, pendingSessions: 0, sessionEnds: 2 });
  t.equal(relay.machine.pollTimeout(), 30_000, 'nothing waits but the next look for idle sessions');
  t.end();
});

t.test('refuses with the code of the first check that fails', (t) => {
  const refusal = (code: FailureCode, service: string, prepare: (relay: RelayFixture) => void, limits = {}) => {
    const relay = new RelayFixture({ limits });
    relay.connect(1, 'agent', 'bob');
    relay.hello(1, 'agent');
    prepare(relay);
    const commands = relay.open(1, service, 3);
    t.match(messages(commands, 1), [{ type: 'openFailed', request: 3, code }]);
    t.equal(messages(commands, 1).length, 1);
    t.same(eventCodes(commands), [`session_refused ${code}`]);
  };
  const register = (relay: RelayFixture) => relay.register(1, { services: [] });
  const none: Partial<RelayLimits> = { maxSessionsPerAgent: 0 };
  const drain = (relay: RelayFixture) => {
    relay.joinConnector(2, 'c1', ['web']);
    relay.joinAgent(3, 'alice');
    relay.session(3, 'web');
    relay.machine.drain(1000, 0);
    relay.take();
  };
  refusal('not_registered', 'nowhere', drain);
  refusal('draining', 'nowhere', (relay) => {
    register(relay);
    drain(relay);
  });
  refusal('service_unknown', 'nowhere', register, none);
  refusal('policy_denied', 'ssh', register, none);
  refusal('policy_denied', 'db', register, none);
  refusal('too_many_sessions', 'web', register, none);
  refusal('too_many_sessions', 'web', register, { maxPendingOpensPerAgent: 0 });
  refusal('too_many_sessions', 'web', register, { maxSessions: 0 });
  refusal('connector_absent', 'web', register);
  t.end();
});

t.test('keeps a service that is no valid name out of its events', (t) => {
  const relay = withWeb();
  t.equal('service' in events(relay.open(1, 'WEB\n{"level":"forged"}'))[0]!, false);
  t.match(events(relay.open(1, 'nowhere')), [{ service: 'nowhere' }]);
  t.end();
});

t.test('asks the connectors of a service in turn', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web', 'ssh']);
  relay.joinConnector(4, 'c3', ['web']);
  const asked = Array.from({ length: 6 }, () => incomingOf(relay.open(1, 'web')).conn);
  t.same(asked, [2, 3, 4, 2, 3, 4]);
  t.equal(incomingOf(relay.open(1, 'ssh')).conn, 3, 'each service has its own turn');
  t.end();
});

t.test('keeps the turn when a connector before it leaves', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  relay.joinConnector(4, 'c3', ['web']);
  relay.session(1, 'web');
  relay.session(1, 'web');
  relay.disconnect(2);
  t.same([incomingOf(relay.open(1, 'web')).conn, incomingOf(relay.open(1, 'web')).conn], [4, 3]);
  t.end();
});

t.test('passes the turn on when the connector whose turn it is leaves', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  relay.session(1, 'web');
  relay.disconnect(3);
  t.equal(incomingOf(relay.open(1, 'web')).conn, 2);
  t.end();
});

t.test('asks the next connector after a rejection and opens with it', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  const first = incomingOf(relay.open(1, 'web', 9));
  const commands = relay.say(2, { type: 'reject', session: first.message.session, code: 'draining', reason: '' });
  const second = incomingOf(commands);
  t.equal(second.conn, 3);
  t.match(events(commands), [
    {
      name: 'session_failover',
      conn: 2,
      identity: uri('connector', 'c1'),
      code: 'draining',
      reason: 'connector c1: the relay is shutting down; go elsewhere',
      service: 'web',
      agent: uri('agent', 'alice'),
    },
  ]);
  t.match(messages(relay.say(3, { type: 'accept', session: second.message.session }), 1), [
    { type: 'opened', request: 9, connector: uri('connector', 'c2') },
  ]);
  t.match(relay.machine.stats(), { sessions: 1, sessionEnds: 2 });
  t.end();
});

t.test('asks each connector once, then fails with the last code', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  const first = incomingOf(relay.open(1, 'web', 9)).message.session;
  relay.say(2, { type: 'reject', session: first, code: 'agent_not_allowed', reason: 'not you' });
  t.same(relay.advance(4_999), []);
  const commands = relay.advance(1);
  t.same(messages(commands, 1), [
    { type: 'openFailed', request: 9, code: 'connector_timeout', reason: 'connector c2 did not answer within 5000 ms' },
  ]);
  t.match(messages(commands, 3), [{ type: 'sessionClosed', code: 'connector_timeout' }]);
  t.same(eventCodes(commands), ['session_refused connector_timeout']);
  t.match(relay.machine.stats(), { sessions: 0, pendingSessions: 0, sessionEnds: 0 });
  t.end();
});

t.test('gives each connector its own 5 s', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  relay.open(1, 'web');
  t.equal(relay.machine.pollTimeout(), 5_000);
  t.equal(incomingOf(relay.advance(5_000)).conn, 3);
  t.equal(relay.machine.pollTimeout(), 10_000);
  t.end();
});

t.test('stops after the connectors an open may ask', (t) => {
  const relay = new RelayFixture({ limits: { maxConnectorsPerOpen: 2 } });
  relay.joinAgent(1, 'alice');
  for (const conn of [2, 3, 4]) relay.joinConnector(conn, `c${conn}`, ['web']);
  relay.open(1, 'web');
  relay.advance(5_000);
  t.match(messages(relay.advance(5_000), 1), [{ type: 'openFailed', code: 'connector_timeout' }]);
  t.end();
});

t.test('passes on the codes a connector may speak of and no others', (t) => {
  const answer = (code: FailureCode, reason: string) => {
    const relay = withWeb();
    const { message } = incomingOf(relay.open(1, 'web', 1));
    return messages(relay.say(2, { type: 'reject', session: message.session, code, reason }), 1);
  };
  const failed = (code: FailureCode, reason: string) => [{ type: 'openFailed', request: 1, code, reason }];
  for (const code of ['service_not_served', 'agent_not_allowed', 'too_many_sessions', 'internal_error'] as const) {
    t.same(answer(code, 'because'), failed(code, 'connector c1: because'), code);
  }
  t.same(answer('connector_rejected', 'because'), failed('connector_rejected', 'connector c1: because'));
  t.same(
    answer('policy_denied', 'because'),
    failed('connector_rejected', 'connector c1 (policy_denied): because'),
    'a connector does not speak for the relay',
  );
  t.same(
    answer('connector_rejected', 'x'.repeat(256)),
    failed('connector_rejected', `connector c1: ${'x'.repeat(256)}`.slice(0, 256)),
    'and its words fit the message',
  );
  t.end();
});

t.test('asks the survivor when a connector leaves before it has answered', (t) => {
  const relay = withWeb();
  relay.joinConnector(3, 'c2', ['web']);
  relay.open(1, 'web', 5);
  const commands = relay.disconnect(2);
  t.equal(incomingOf(commands).conn, 3);
  t.same(eventCodes(commands), ['session_failover connector_gone', 'client_disconnected -']);
  t.same(messages(relay.disconnect(3), 1), [
    { type: 'openFailed', request: 5, code: 'connector_gone', reason: 'connector c2 left before an answer' },
  ]);
  t.end();
});

t.test('tells the connector when the agent leaves before the answer', (t) => {
  const relay = withWeb();
  const { message } = incomingOf(relay.open(1, 'web'));
  const commands = relay.disconnect(1);
  t.same(messages(commands, 2), [{ type: 'sessionClosed', session: message.session, code: 'agent_gone' }]);
  t.same(messages(commands, 1), []);
  t.same(eventCodes(commands), ['session_refused agent_gone', 'client_disconnected -']);
  t.end();
});

t.test('takes closeSession from a connector that was only asked for a rejection', (t) => {
  const relay = withWeb();
  const { message } = incomingOf(relay.open(1, 'web', 2));
  t.same(messages(relay.say(2, { type: 'closeSession', session: message.session }), 1), [
    {
      type: 'openFailed',
      request: 2,
      code: 'connector_rejected',
      reason: 'connector c1 (session_ended): the other side ended the session',
    },
  ]);
  t.end();
});

t.test('gives the freed slot of a session to nobody until 1024 others were freed after it', (t) => {
  const relay = withWeb();
  const closeOne = () => {
    const { agentEnd } = relay.session(1, 'web');
    relay.say(1, { type: 'closeSession', session: agentEnd });
    return agentEnd.slot;
  };
  const slots = Array.from({ length: 512 }, closeOne);
  t.equal(new Set(slots).size, 512);
  const reused = Array.from({ length: 600 }, closeOne);
  t.ok(reused.some((slot) => slots.includes(slot)), 'slots are used again in the end');
  t.ok(Math.max(...reused) < 1024 + 4, 'the table grows by the quarantine and what is open, no more');
  t.end();
});

/** alice on 1, connector c1 serving web on 2. */
function withWeb(): RelayFixture {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  return relay;
}
