// Sessions that nobody uses, and what using them means.

import t from 'tap';
import { datagram, events, messages, RelayFixture, type OpenSession } from './relay-fixture.js';

const IDLE_MS = 180_000;
const SWEEP_MS = 30_000;
const AGENT = 1;
const CONNECTOR = 2;

t.test('a session that nothing crosses is ended with session_idle, and both sides are told', (t) => {
  const { relay, session } = withSession();
  t.strictSame(pass(relay, IDLE_MS - SWEEP_MS), [], 'not before its time');
  const commands = pass(relay, 2 * SWEEP_MS);
  t.strictSame(messages(commands, AGENT), [{ type: 'sessionClosed', session: session.agentEnd, code: 'session_idle' }]);
  t.strictSame(messages(commands, CONNECTOR), [{ type: 'sessionClosed', session: session.connectorEnd, code: 'session_idle' }]);
  t.match(events(commands), [{ name: 'session_closed', code: 'session_idle' }]);
  t.equal(relay.machine.stats().sessions, 0);
  t.equal(relay.machine.pollTimeout(), undefined, 'without sessions there is nothing to look at');
  t.end();
});

for (const [who, conn] of [['agent', AGENT], ['connector', CONNECTOR]] as const) {
  t.test(`one datagram of the ${who} in its time keeps it`, (t) => {
    const { relay, session } = withSession();
    for (let n = 0; n < 5; n += 1) {
      t.strictSame(pass(relay, IDLE_MS - 2 * SWEEP_MS), []);
      const bytes = datagram(conn === AGENT ? session.agentEnd : session.connectorEnd);
      relay.machine.handleDatagram(conn, bytes, bytes.length, relay.now);
    }
    t.equal(relay.machine.stats().sessions, 1);
    t.end();
  });
}

t.test('another time holds for sessions that are open', (t) => {
  const { relay } = withSession();
  relay.limits.sessionIdleMs = 60_000;
  t.match(events(pass(relay, 60_000 + SWEEP_MS)), [{ name: 'session_closed', code: 'session_idle' }]);
  t.end();
});

t.test('datagrams that are not forwarded do not count as use', (t) => {
  const { relay, session } = withSession();
  const seen = [];
  for (let n = 0; n < 8; n += 1) {
    for (const bytes of [datagram({ ...session.agentEnd, tag: session.agentEnd.tag ^ 1 }), datagram(session.connectorEnd), datagram(session.agentEnd, 1)])
      relay.machine.handleDatagram(AGENT, bytes, bytes.length, relay.now);
    seen.push(...pass(relay, SWEEP_MS));
  }
  t.match(events(seen).filter(({ name }) => name === 'session_closed'), [{ code: 'session_idle' }]);
  t.end();
});

t.test('a slot used again begins unused', (t) => {
  const { relay, session } = withSession();
  const bytes = datagram(session.agentEnd);
  relay.machine.handleDatagram(AGENT, bytes, bytes.length, relay.now);
  relay.say(AGENT, { type: 'closeSession', session: session.agentEnd });
  relay.session(AGENT, 'web');
  t.match(events(pass(relay, IDLE_MS + 2 * SWEEP_MS)), [{ name: 'session_closed', code: 'session_idle' }]);
  t.end();
});

function withSession(): { relay: RelayFixture; session: OpenSession } {
  const relay = new RelayFixture();
  relay.joinAgent(AGENT, 'alice');
  relay.joinConnector(CONNECTOR, 'con-1', ['web']);
  return { relay, session: relay.session(AGENT, 'web') };
}

/** Time passes, deadline by deadline. */
function pass(relay: RelayFixture, ms: number) {
  const commands = [];
  for (let left = ms; left > 0; left -= 1_000) commands.push(...relay.advance(Math.min(left, 1_000)));
  return commands;
}
