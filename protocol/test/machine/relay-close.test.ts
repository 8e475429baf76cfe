// How an open session ends: by either end, with its connection, or by policy.

import t from 'tap';
import { eventCodes, messages, policyOf, RelayFixture, send, uri } from './relay-fixture.js';

t.test('tells the other end, and not the one that closes', (t) => {
  const closed = {
    kind: 'event',
    event: {
      level: 'info',
      name: 'session_closed',
      conn: 1,
      identity: uri('agent', 'alice'),
      service: 'web',
      connector: uri('connector', 'c1'),
      code: 'session_ended',
    },
  };
  const relay = withWeb();
  const first = relay.session(1, 'web');
  t.same(relay.say(1, { type: 'closeSession', session: first.agentEnd }), [
    send(2, { type: 'sessionClosed', session: first.connectorEnd, code: 'session_ended' }),
    closed,
  ]);
  const second = relay.session(1, 'web');
  t.same(relay.say(2, { type: 'closeSession', session: second.connectorEnd }), [
    send(1, { type: 'sessionClosed', session: second.agentEnd, code: 'session_ended' }),
    closed,
  ]);
  t.match(relay.machine.stats(), { sessions: 0, sessionEnds: 0 });
  t.end();
});

t.test('ignores the second of two crossing closes, until the slot is used again', (t) => {
  const relay = withWeb();
  const { agentEnd, connectorEnd } = relay.session(1, 'web');
  relay.say(1, { type: 'closeSession', session: agentEnd });
  t.same(relay.say(2, { type: 'closeSession', session: connectorEnd }), []);
  const wrongTag = { slot: connectorEnd.slot, tag: (connectorEnd.tag ^ 1) >>> 0 };
  const code = 'session_unknown';
  const about = 'closeSession';
  t.same(relay.say(2, { type: 'closeSession', session: wrongTag }), [
    send(2, { type: 'error', code, reason: 'no such session on this connection', about }),
    {
      kind: 'event',
      event: { level: 'warn', name: 'message_refused', conn: 2, identity: uri('connector', 'c1'), code, about },
    },
  ]);
  t.end();
});

t.test('ends the sessions of an agent that is gone with agent_gone', (t) => {
  const relay = withWeb();
  relay.joinAgent(3, 'bob');
  const first = relay.session(1, 'web');
  const second = relay.session(1, 'web');
  relay.session(3, 'web');
  const commands = relay.disconnect(1);
  t.same(messages(commands, 2), [
    { type: 'sessionClosed', session: first.connectorEnd, code: 'agent_gone' },
    { type: 'sessionClosed', session: second.connectorEnd, code: 'agent_gone' },
  ]);
  t.same(eventCodes(commands), [
    'session_closed agent_gone',
    'session_closed agent_gone',
    'client_disconnected -',
  ]);
  t.match(relay.machine.stats(), { connections: 2, identities: 2, sessions: 1, sessionEnds: 2 });
  t.end();
});

t.test('ends the sessions of a connector that is gone, and the survivor serves the next open', (t) => {
  const relay = withWeb();
  const { agentEnd } = relay.session(1, 'web');
  relay.joinConnector(3, 'c2', ['web']);
  t.same(messages(relay.disconnect(2), 1), [
    { type: 'sessionClosed', session: agentEnd, code: 'connector_gone' },
  ]);
  t.match(relay.machine.stats(), { registeredConnectors: 1, services: 1, sessions: 0 });
  relay.session(1, 'web');
  relay.disconnect(3);
  t.match(relay.machine.stats(), { registeredConnectors: 0, services: 0 });
  t.match(messages(relay.open(1, 'web'), 1), [{ type: 'openFailed', code: 'connector_absent' }]);
  t.end();
});

t.test('ends the sessions of a client it closes as if it had left', (t) => {
  const relay = withWeb();
  const { connectorEnd } = relay.session(1, 'web');
  relay.machine.handleControlFault(1, { code: 'control_message_malformed', reason: 'garbled', fatal: true }, 0);
  const commands = relay.take();
  t.same(messages(commands, 2), [{ type: 'sessionClosed', session: connectorEnd, code: 'agent_gone' }]);
  t.same(messages(commands, 1).map(({ type }) => type), ['error'], 'the closed client hears of its fault only');
  t.same(eventCodes(relay.disconnect(1)), ['client_disconnected -']);
  t.end();
});

t.test('closes the sessions that a new policy does not allow, telling both ends, and no others', (t) => {
  const relay = withWeb();
  relay.joinAgent(3, 'bob');
  const revoked = relay.session(1, 'web');
  relay.session(3, 'web');
  relay.machine.setPolicy(policyOf({ rules: [{ allow: ['bob'], services: ['web'] }] }), 0);
  const code = 'policy_revoked';
  const commands = relay.take();
  t.same(commands.slice(0, 2), [
    send(1, { type: 'sessionClosed', session: revoked.agentEnd, code }),
    send(2, { type: 'sessionClosed', session: revoked.connectorEnd, code }),
  ]);
  t.same(eventCodes(commands), ['session_closed policy_revoked', 'policy_replaced -']);
  t.match(commands.at(-1), { kind: 'event', event: { revokedSessions: 1 } });
  t.equal(relay.machine.stats().sessions, 1);
  t.match(messages(relay.open(1, 'web'), 1), [{ type: 'openFailed', code: 'policy_denied' }]);
  t.end();
});

t.test('fails an open that waits for an answer when the new policy does not allow it', (t) => {
  const relay = withWeb();
  relay.open(1, 'web', 8);
  relay.machine.setPolicy(policyOf({}), 0);
  const commands = relay.take();
  const code = 'policy_revoked';
  t.match(messages(commands, 2), [{ type: 'sessionClosed', code }]);
  t.same(messages(commands, 1), [{ type: 'openFailed', request: 8, code, reason: 'policy changed before an answer' }]);
  t.match(relay.machine.stats(), { sessions: 0, pendingSessions: 0, sessionEnds: 0 });
  t.end();
});

/** alice on 1, connector c1 serving web on 2. */
function withWeb(): RelayFixture {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  return relay;
}
