// Shutting down: go elsewhere, nothing is lost.

import t from 'tap';
import { close, eventCodes, messages, RelayFixture, send, uri } from './relay-fixture.js';

const CLOSE_REASON = 'this relay is shutting down';
const closeAll = (...conns: number[]) => conns.map((conn) => close(conn, 'draining', CLOSE_REASON));

t.test('tells every client the time left and goes on with open sessions', (t) => {
  const relay = withWeb();
  const { agentEnd } = relay.session(1, 'web');
  relay.connect(3, 'agent', 'bob');
  relay.now = 100;
  relay.machine.drain(5_000, relay.now);
  t.same(relay.take(), [
    { kind: 'event', event: { level: 'info', name: 'drain_started', deadlineMs: 5_000, sessions: 1 } },
    send(1, { type: 'drain', deadlineMs: 5_000 }),
    send(2, { type: 'drain', deadlineMs: 5_000 }),
  ]);
  t.equal(relay.machine.pollTimeout(), 5_100);
  relay.now = 1_100;
  t.same(
    messages(relay.hello(3, 'agent'), 3).slice(1),
    [{ type: 'drain', deadlineMs: 4_000 }],
    'a client that says hello later hears of it then',
  );
  const commands = relay.say(1, { type: 'closeSession', session: agentEnd });
  t.same(commands.slice(2), [
    { kind: 'event', event: { level: 'info', name: 'drain_finished', sessions: 0 } },
    ...closeAll(1, 2, 3),
    { kind: 'drained' },
  ]);
  t.equal(relay.machine.pollTimeout(), undefined);
  t.end();
});

t.test('refuses registrations while draining and does not use the token up', (t) => {
  const relay = withWeb();
  relay.session(1, 'web');
  relay.connect(3, 'connector', 'c2');
  relay.hello(3, 'connector');
  relay.machine.drain(5_000, 0);
  relay.take();
  const verified = relay.verified.length;
  for (let count = 0; count < 20; count += 1) {
    const commands = relay.register(3, { services: ['web'] });
    t.same(commands, [
      send(3, { type: 'registerNack', code: 'draining', reason: CLOSE_REASON }),
      {
        kind: 'event',
        event: {
          level: 'warn',
          name: 'registration_refused',
          conn: 3,
          identity: uri('connector', 'c2'),
          code: 'draining',
          reason: CLOSE_REASON,
          closing: false,
        },
      },
    ]);
  }
  t.equal(relay.verified.length, verified);
  t.end();
});

t.test('is done at once without sessions', (t) => {
  const relay = withWeb();
  relay.machine.drain(5_000, 0);
  const commands = relay.take();
  t.same(eventCodes(commands), ['drain_started -', 'drain_finished -']);
  t.same(commands.slice(-3), [...closeAll(1, 2), { kind: 'drained' }]);
  t.end();
});

t.test('is done at the deadline with sessions left, which end with draining', (t) => {
  const relay = withWeb();
  relay.session(1, 'web');
  relay.joinConnector(3, 'c2', ['web']);
  relay.now = 1_000;
  relay.open(1, 'web', 2);
  relay.machine.drain(4_999, relay.now);
  relay.take();
  t.same(relay.advance(4_998), []);
  const commands = relay.advance(1);
  t.same(eventCodes(commands), [
    'drain_finished -',
    'session_closed draining',
    'session_refused draining',
  ]);
  t.notOk(commands.some((command) => command.kind === 'send' && command.message.type === 'incoming'));
  t.same(commands.filter(({ kind }) => kind === 'close'), closeAll(1, 2, 3));
  t.same(commands.at(-1), { kind: 'drained' });
  t.match(relay.machine.stats(), { sessions: 0, pendingSessions: 0, sessionEnds: 0, services: 0 });
  t.end();
});

t.test('does not move a waiting open to another connector at the deadline', (t) => {
  const relay = new RelayFixture();
  relay.joinConnector(1, 'c1', ['web']);
  relay.joinConnector(2, 'c2', ['web']);
  relay.joinAgent(3, 'alice');
  relay.open(3, 'web', 2);
  relay.machine.drain(1_000, 0);
  relay.take();
  const commands = relay.advance(1_000);
  t.same(eventCodes(commands), ['drain_finished -', 'session_refused draining']);
  t.match(messages(commands, 3), [{ type: 'openFailed', request: 2, code: 'draining' }]);
  t.same(messages(commands, 2), []);
  t.end();
});

t.test('waits for an open that was under way', (t) => {
  const relay = withWeb();
  relay.open(1, 'web', 6);
  relay.machine.drain(60_000, 0);
  relay.take();
  const session = { slot: 1, tag: 0xa000_0002 };
  t.match(relay.say(2, { type: 'accept', session })[0], send(1, { type: 'opened', request: 6 } as never));
  t.match(relay.disconnect(1).at(-1), { kind: 'drained' });
  t.end();
});

t.test('says drained once, and refuses clients that come later', (t) => {
  const relay = withWeb();
  relay.machine.drain(0, 0);
  t.equal(relay.take().filter(({ kind }) => kind === 'drained').length, 1);
  relay.machine.drain(0, 1);
  t.same(relay.advance(10_000), []);
  relay.disconnect(1);
  const commands = relay.connect(1, 'agent', 'alice');
  t.same(eventCodes(commands), ['client_connected -', 'client_refused draining']);
  t.match(commands.at(-1), { kind: 'close', conn: 1, code: 'draining' });
  t.end();
});

t.test('can be brought forward but not put off', (t) => {
  const relay = withWeb();
  relay.session(1, 'web');
  relay.machine.drain(5_000, 0);
  relay.take();
  relay.machine.drain(9_000, 0);
  t.same(relay.take(), []);
  t.equal(relay.machine.pollTimeout(), 5_000);
  relay.machine.drain(1_000, 0);
  t.match(messages(relay.take(), 1), [{ type: 'drain', deadlineMs: 1_000 }]);
  t.match(relay.advance(1_000).at(-1), { kind: 'drained' });
  t.end();
});

/** alice on 1, connector c1 serving web on 2. */
function withWeb(): RelayFixture {
  const relay = new RelayFixture();
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  return relay;
}

t.test('the time left is the time given, whatever fraction of a millisecond the clock shows', (t) => {
  // 905.536 + 1000 - 905.536 is more than 1000 in floating point, and so are others.
  for (let n = 0; n < 200; n += 1) {
    const relay = new RelayFixture();
    relay.joinAgent(1, 'alice');
    relay.joinConnector(2, 'con-1', ['web']);
    relay.session(1, 'web');
    relay.machine.drain(1_000, 900 + n * 0.173);
    t.match(messages(relay.take(), 1), [{ type: 'drain', deadlineMs: 1_000 }]);
  }
  t.end();
});
