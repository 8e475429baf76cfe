// The relay as a switch: one datagram in, one integer out, and every one counted once.

import t from 'tap';
import {
  DATAGRAM_CONSUMED,
  DATAGRAM_DROPPED,
  DATAGRAM_REPLY,
  DROP_REASON_NAMES,
  HEADER_BYTES,
  type DropReason,
} from '@ztna/protocol';
import { datagram, incomingOf, policyOf, RelayFixture, uri, type OpenSession } from './relay-fixture.js';

const KEEPALIVE = 1;
const KEEPALIVE_ACK = 2;

t.test('forwards in both directions, rewriting slot and tag and nothing else', (t) => {
  const { relay, agentEnd, connectorEnd } = withSession();
  const there = datagram(agentEnd);
  t.equal(relay.machine.handleDatagram(1, there, there.length, relay.now), 2);
  t.same(there, datagram(connectorEnd));
  t.equal(relay.machine.handleDatagram(2, there, there.length, relay.now), 1);
  t.same(there, datagram(agentEnd));
  t.equal(relay.machine.nextCommand(), undefined, 'no command for a datagram');
  t.match(relay.machine.counters.totals(), { received: 2, forwarded: 0, consumed: 0 }, 'the driver counts forwarding');
  t.end();
});

t.test('leaves bytes behind the length of a datagram alone', (t) => {
  const { relay, agentEnd, connectorEnd } = withSession();
  const buffer = new Uint8Array(64).fill(0xee);
  buffer.set(datagram(agentEnd));
  relay.machine.handleDatagram(1, buffer, HEADER_BYTES, relay.now);
  t.same(buffer.subarray(0, HEADER_BYTES + 3), datagram(connectorEnd));
  t.ok(buffer.subarray(HEADER_BYTES + 3).every((byte) => byte === 0xee));
  t.end();
});

t.test('keeps sessions of one pair apart', (t) => {
  const { relay, agentEnd: firstEnd } = withSession();
  const second = relay.session(1, 'web');
  const bytes = datagram(second.agentEnd);
  relay.machine.handleDatagram(1, bytes, bytes.length, relay.now);
  t.same(bytes, datagram(second.connectorEnd));
  const mixed = datagram({ slot: second.agentEnd.slot, tag: firstEnd.tag });
  t.equal(relay.machine.handleDatagram(1, mixed, mixed.length, relay.now), DATAGRAM_DROPPED);
  t.end();
});

t.test('turns a keepalive into its answer, payload kept, and counts it as consumed', (t) => {
  const { relay, agentEnd } = withSession();
  const bytes = datagram(agentEnd, KEEPALIVE);
  t.equal(relay.machine.handleDatagram(1, bytes, bytes.length, relay.now), DATAGRAM_REPLY);
  t.same(bytes, datagram(agentEnd, KEEPALIVE_ACK));
  t.match(relay.machine.counters.totals(), { received: 1, consumed: 1 });
  t.end();
});

t.test('consumes the answer to a keepalive', (t) => {
  const { relay, agentEnd } = withSession();
  const bytes = datagram(agentEnd, KEEPALIVE_ACK);
  t.equal(relay.machine.handleDatagram(1, bytes, bytes.length, relay.now), DATAGRAM_CONSUMED);
  t.same(bytes, datagram(agentEnd, KEEPALIVE_ACK));
  t.match(relay.machine.counters.totals(), { received: 1, consumed: 1 });
  t.end();
});

const dropCases: Record<string, { reason: DropReason; conn?: number; bytes: (session: OpenSession) => Uint8Array }> = {
  'shorter than its header': { reason: 'header_too_short', bytes: ({ agentEnd }) => datagram(agentEnd).subarray(0, 15) },
  'with another magic': { reason: 'bad_magic', bytes: ({ agentEnd }) => edited(datagram(agentEnd), 0, 0x40) },
  'of another version': { reason: 'bad_version', bytes: ({ agentEnd }) => edited(datagram(agentEnd), 4, 9) },
  'of an unknown type': { reason: 'bad_type', bytes: ({ agentEnd }) => edited(datagram(agentEnd), 5, 9) },
  'with reserved bits set': { reason: 'reserved_bits_set', bytes: ({ agentEnd }) => edited(datagram(agentEnd), 7, 1) },
  'for a slot beyond the table': { reason: 'slot_unknown', bytes: () => datagram({ slot: 0xffff_ffff, tag: 0 }) },
  'for a slot that was never used': { reason: 'slot_unknown', bytes: () => datagram({ slot: 2, tag: 0 }) },
  "for the session of another agent": { reason: 'not_owner', conn: 3, bytes: ({ agentEnd }) => datagram(agentEnd) },
  "for the other end's slot": { reason: 'not_owner', bytes: ({ connectorEnd }) => datagram(connectorEnd) },
  'with a wrong tag': { reason: 'tag_mismatch', bytes: ({ agentEnd: { slot, tag } }) => datagram({ slot, tag: tag ^ 1 }) },
  'from a connection that is not registered': {
    reason: 'not_registered',
    conn: 4,
    bytes: ({ agentEnd }) => datagram(agentEnd),
  },
  'from a connection nobody knows': { reason: 'not_registered', conn: 99, bytes: ({ agentEnd }) => datagram(agentEnd) },
  'that is a keepalive of a connection that is not registered': {
    reason: 'not_registered',
    conn: 4,
    bytes: ({ agentEnd }) => datagram(agentEnd, KEEPALIVE),
  },
};

for (const [what, { reason, conn = 1, bytes }] of Object.entries(dropCases)) {
  t.test(`drops a datagram ${what} as ${reason}, unchanged`, (t) => {
    const session = withSession();
    const { relay } = session;
    relay.joinAgent(3, 'bob');
    relay.connect(4, 'agent', 'alice');
    relay.hello(4, 'agent');
    const sent = bytes(session);
    const before = Uint8Array.from(sent);
    t.equal(relay.machine.handleDatagram(conn, sent, sent.length, relay.now), DATAGRAM_DROPPED);
    t.same(sent, before);
    const { received, dropped } = relay.machine.counters.totals();
    t.equal(received, 1);
    t.same(dropped, Object.fromEntries(DROP_REASON_NAMES.map((name) => [name, name === reason ? 1 : 0])));
    t.end();
  });
}

t.test('answers and reports the first datagram of a connection for the session of another, and only that one', (t) => {
  const { relay, agentEnd, connectorEnd } = withSession();
  relay.joinAgent(3, 'bob');
  for (const { slot } of [agentEnd, connectorEnd, agentEnd]) {
    const guess = datagram({ slot, tag: 0 });
    relay.machine.handleDatagram(3, guess, guess.length, relay.now);
  }
  const code = 'session_unknown';
  t.same(relay.take(), [
    { kind: 'send', conn: 3, message: { type: 'error', code, reason: 'no such session on this connection', about: 'datagram' } },
    { kind: 'event', event: { level: 'warn', name: 'datagram_refused', conn: 3, identity: uri('agent', 'bob'), code, reason: 'the session behind the slot belongs to another connection' } },
  ]);
  t.equal(relay.machine.counters.dropped('not_owner'), 3);
  t.end();
});

t.test('does not forward before the connector has accepted, from either end', (t) => {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  const { session } = incomingOf(relay.open(1, 'web')).message;
  const fromConnector = datagram(session);
  t.equal(relay.machine.handleDatagram(2, fromConnector, fromConnector.length, relay.now), DATAGRAM_DROPPED);
  const fromAgent = datagram({ slot: 0, tag: 0xa000_0001 });
  t.equal(relay.machine.handleDatagram(1, fromAgent, fromAgent.length, relay.now), DATAGRAM_DROPPED);
  t.equal(relay.machine.counters.dropped('slot_unknown'), 2);
  t.end();
});

const endings: Record<string, (relay: RelayFixture, session: OpenSession) => void> = {
  'the agent has closed it': (relay, { agentEnd }) => relay.say(1, { type: 'closeSession', session: agentEnd }),
  'the connector has closed it': (relay, { connectorEnd }) =>
    relay.say(2, { type: 'closeSession', session: connectorEnd }),
  'policy has revoked it': (relay) => relay.machine.setPolicy(policyOf({}), 0),
};

for (const [what, end] of Object.entries(endings)) {
  t.test(`forwards nothing on a session once ${what}`, (t) => {
    const session = withSession();
    const { relay } = session;
    end(relay, session);
    for (const [conn, handle] of [[1, session.agentEnd], [2, session.connectorEnd]] as const) {
      const bytes = datagram(handle);
      t.equal(relay.machine.handleDatagram(conn, bytes, bytes.length, relay.now), DATAGRAM_DROPPED);
    }
    t.equal(relay.machine.counters.dropped('slot_unknown'), 2);
    t.end();
  });
}

t.test('drops what a connection sends after the relay has closed it', (t) => {
  const { relay, agentEnd } = withSession();
  relay.machine.handleControlFault(1, { code: 'protocol_error', reason: 'no', fatal: true }, 0);
  const bytes = datagram(agentEnd);
  t.equal(relay.machine.handleDatagram(1, bytes, bytes.length, relay.now), DATAGRAM_DROPPED);
  t.equal(relay.machine.counters.dropped('not_registered'), 1);
  t.end();
});

t.test('forwards on every session of a table that has grown', (t) => {
  const relay = new RelayFixture({ limits: { maxSessionsPerAgent: 2000 } });
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  const sessions = Array.from({ length: 1500 }, () => relay.session(1, 'web'));
  const misrouted = sessions.filter(({ agentEnd, connectorEnd }) => {
    const bytes = datagram(agentEnd);
    return relay.machine.handleDatagram(1, bytes, bytes.length, relay.now) !== 2 || !equal(bytes, datagram(connectorEnd));
  });
  t.same(misrouted, []);
  t.end();
});

/** alice on 1 with a session to web at connector c1 on 2. */
function withSession(): OpenSession & { relay: RelayFixture } {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  return { relay, ...relay.session(1, 'web') };
}

function edited(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  bytes[offset] = value;
  return bytes;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
