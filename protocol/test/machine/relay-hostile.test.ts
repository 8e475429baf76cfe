// A peer with a valid certificate that doesn't play by the rules: nothing it sends touches a session
// that isn't its own, and nothing it repeats grows without bound.

import t from 'tap';
import { DATAGRAM_DROPPED, type ControlMessage, type SessionHandle } from '@ztna/protocol';
import { datagram, eventCodes, incomingOf, messages, RelayFixture, send } from './relay-fixture.js';

const MALLORY_AGENT = 8;
const MALLORY_CONNECTOR = 9;

const unknownError = (conn: number, about: string) =>
  send(conn, { type: 'error', code: 'session_unknown', reason: 'no such session on this connection', about });

t.test('refuses to close the session of others, whichever end is named', (t) => {
  const relay = withMallory();
  const { agentEnd, connectorEnd } = relay.session(1, 'web');
  for (const conn of [MALLORY_AGENT, MALLORY_CONNECTOR]) {
    for (const session of [agentEnd, connectorEnd]) {
      const commands = relay.say(conn, { type: 'closeSession', session });
      t.same(commands[0], unknownError(conn, 'closeSession'));
      t.same(eventCodes(commands), ['message_refused session_unknown']);
      t.equal(commands.length, 2);
    }
  }
  const own = relay.say(1, { type: 'closeSession', session: connectorEnd });
  t.same(own[0], unknownError(1, 'closeSession'), 'an owner names its own end, not the other one');
  t.equal(relay.machine.stats().sessions, 1);
  t.end();
});

t.test('refuses an own slot with a wrong tag, and an own tag with a wrong slot', (t) => {
  const relay = withMallory();
  const { agentEnd } = relay.session(1, 'web');
  const guesses: SessionHandle[] = [
    { slot: agentEnd.slot, tag: agentEnd.tag ^ 1 },
    { slot: agentEnd.slot + 2, tag: agentEnd.tag },
    { slot: 0xffff_ffff, tag: agentEnd.tag },
    { slot: agentEnd.slot, tag: 0 },
  ];
  for (const session of guesses) {
    t.same(relay.say(1, { type: 'closeSession', session })[0], unknownError(1, 'closeSession'));
  }
  t.equal(relay.machine.stats().sessions, 1);
  t.end();
});

t.test('refuses to accept or reject what another connector was asked for', (t) => {
  const relay = withMallory();
  const { conn, message } = incomingOf(relay.open(1, 'web'));
  t.equal(conn, 2);
  const { session } = message;
  const accepted = relay.say(MALLORY_CONNECTOR, { type: 'accept', session });
  t.same(accepted[0], send(MALLORY_CONNECTOR, { type: 'sessionClosed', session, code: 'session_unknown' }));
  t.same(eventCodes(accepted), ['message_refused session_unknown']);
  t.same(
    relay.say(MALLORY_CONNECTOR, { type: 'reject', session, code: 'draining', reason: '' })[0],
    unknownError(MALLORY_CONNECTOR, 'reject'),
  );
  t.match(messages(relay.say(2, { type: 'accept', session }), 1), [{ type: 'opened' }], 'the open is untouched');
  t.end();
});

t.test('refuses to close a pending session by the end its agent was not told of', (t) => {
  const relay = withMallory();
  relay.open(1, 'web');
  const guessed = { slot: 0, tag: 0xa000_0001 };
  t.same(relay.say(1, { type: 'closeSession', session: guessed })[0], unknownError(1, 'closeSession'));
  t.equal(relay.machine.stats().pendingSessions, 1);
  t.end();
});

t.test('answers a second accept, and a reject after accept, with an error and keeps the session', (t) => {
  const relay = withMallory();
  const { agentEnd, connectorEnd } = relay.session(1, 'web');
  const late: ControlMessage[] = [
    { type: 'accept', session: connectorEnd },
    { type: 'reject', session: connectorEnd, code: 'connector_rejected', reason: '' },
  ];
  for (const message of late) {
    const commands = relay.say(2, message);
    const { type: about } = message;
    const code = 'unexpected_message';
    t.same(commands[0], send(2, { type: 'error', code, reason: 'the session is already open', about }));
    t.same(eventCodes(commands), ['message_refused unexpected_message']);
    t.equal(commands.length, 2);
  }
  const bytes = datagram(agentEnd);
  t.equal(relay.machine.handleDatagram(1, bytes, bytes.length, relay.now), 2);
  t.end();
});

t.test('answers an accept after the timeout with sessionClosed, while another connector serves the open', (t) => {
  const relay = withMallory();
  relay.register(MALLORY_CONNECTOR, { services: ['web'] });
  const late = incomingOf(relay.open(1, 'web')).message.session;
  const retry = incomingOf(relay.advance(5_000));
  t.equal(retry.conn, MALLORY_CONNECTOR);
  t.same(
    relay.say(2, { type: 'accept', session: late })[0],
    send(2, { type: 'sessionClosed', session: late, code: 'session_unknown' }),
  );
  const accepted = relay.say(MALLORY_CONNECTOR, { type: 'accept', session: retry.message.session });
  t.match(messages(accepted, 1), [{ type: 'opened' }]);
  t.match(relay.machine.stats(), { sessions: 1, sessionEnds: 2 });
  t.end();
});

t.test('has no effect when a session is accepted after its end, or closed twice', (t) => {
  const relay = withMallory();
  const { agentEnd, connectorEnd } = relay.session(1, 'web');
  relay.say(1, { type: 'closeSession', session: agentEnd });
  t.same(relay.say(1, { type: 'closeSession', session: agentEnd }), []);
  t.same(
    relay.say(2, { type: 'accept', session: connectorEnd })[0],
    send(2, { type: 'sessionClosed', session: connectorEnd, code: 'session_unknown' }),
  );
  t.match(relay.machine.stats(), { sessions: 0, sessionEnds: 0 });
  t.end();
});

t.test('forwards nothing for a peer that tries every slot with tags it knows', (t) => {
  const relay = withMallory();
  const victims = Array.from({ length: 20 }, () => relay.session(1, 'web'));
  const mine = relay.session(MALLORY_AGENT, 'web');
  const tags = [mine.agentEnd.tag, 0, 0xffff_ffff, ...victims.map(({ agentEnd }) => agentEnd.tag)];
  let sent = 0;
  for (let slot = 0; slot < 64; slot += 1) {
    if (slot === mine.agentEnd.slot) continue;
    for (const tag of tags) {
      const bytes = datagram({ slot, tag });
      if (relay.machine.handleDatagram(MALLORY_AGENT, bytes, bytes.length, relay.now) !== DATAGRAM_DROPPED) t.fail(`slot ${slot}`);
      sent += 1;
    }
  }
  const { received, dropped } = relay.machine.counters.totals();
  t.equal(received, sent);
  t.equal(dropped.not_owner + dropped.slot_unknown, sent);
  t.end();
});

t.test('holds a flood of opens to the bound and lets others open', (t) => {
  const relay = withMallory();
  for (let count = 0; count < 5_000; count += 1) relay.open(MALLORY_AGENT, 'web');
  t.match(relay.machine.stats(), { sessions: 64, pendingSessions: 64, sessionEnds: 128 });
  relay.session(1, 'web');
  const commands = relay.disconnect(MALLORY_AGENT);
  t.equal(messages(commands, 2).length, 64);
  t.match(relay.machine.stats(), { sessions: 1, pendingSessions: 0, sessionEnds: 2 });
  t.end();
});

t.test('holds a flood of opens and closes to the slots of the quarantine', (t) => {
  const relay = withMallory();
  let highest = 0;
  for (let count = 0; count < 5_000; count += 1) {
    const { agentEnd, connectorEnd } = relay.session(MALLORY_AGENT, 'web');
    highest = Math.max(highest, agentEnd.slot, connectorEnd.slot);
    relay.say(MALLORY_AGENT, { type: 'closeSession', session: agentEnd });
  }
  t.ok(highest < 1024 + 4, `highest slot ${highest}`);
  t.end();
});

t.test('verifies at most ten tokens of a connection that registers in a loop with bad ones', (t) => {
  const relay = new RelayFixture();
  relay.connect(MALLORY_CONNECTOR, 'connector', 'mallory');
  relay.hello(MALLORY_CONNECTOR, 'connector');
  for (let count = 0; count < 1_000; count += 1) {
    relay.register(MALLORY_CONNECTOR, { code: 'token_bad_signature', reason: 'no' });
  }
  t.equal(relay.verified.length, 10);
  t.match(relay.machine.stats(), { connections: 1, registeredConnectors: 0, services: 0 });
  t.end();
});

t.test('holds one registration for a connector that registers in a loop with good tokens', (t) => {
  const relay = withMallory();
  for (let count = 0; count < 1_000; count += 1) {
    relay.register(MALLORY_CONNECTOR, { services: [`s${count}`, 'web'] });
  }
  t.match(relay.machine.stats(), { registeredConnectors: 2, services: 2 });
  const asked = Array.from({ length: 4 }, () => incomingOf(relay.open(1, 'web')).conn);
  t.same(asked, [2, MALLORY_CONNECTOR, 2, MALLORY_CONNECTOR], 'and no more than its turn');
  t.end();
});

/** alice and connector c1 (web) on 1 and 2; mallory as bob's agent and as a connector without services. */
function withMallory(): RelayFixture {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  relay.joinAgent(MALLORY_AGENT, 'bob');
  relay.joinConnector(MALLORY_CONNECTOR, 'mallory', []);
  return relay;
}
