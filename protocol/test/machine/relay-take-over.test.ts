// A connector that makes its connection anew: sessions go over to it, and nobody else's do.

import t from 'tap';
import { eventCodes, incomingOf, messages, RelayFixture, token, uri } from './relay-fixture.js';

/** Alice with a session for `web` at connection 2 of c1, who connects again as 3. */
const withSession = () => {
  const relay = new RelayFixture();
  relay.connect(1, 'agent', 'alice');
  relay.hello(1, 'agent');
  relay.register(1, { services: [] });
  relay.connect(2, 'connector', 'c1');
  relay.hello(2, 'connector');
  relay.register(2, { services: ['web'] });
  const { session } = incomingOf(relay.open(1, 'web')).message;
  relay.say(2, { type: 'accept', session });
  relay.connect(3, 'connector', 'c1');
  relay.hello(3, 'connector');
  return { relay, session };
};
const takeOver = (relay: RelayFixture, conn: number, services: string[]) => relay.say(conn, { type: 'register', token: token({ services }), takeOver: true });

t.test('the sessions of the older connection go to the newer, which is told their names', async (t) => {
  const { relay, session } = withSession();
  const commands = takeOver(relay, 3, ['web']);
  const [ack, moved, ...more] = messages(commands, 3);
  t.match(ack, { type: 'registerAck', services: ['web'] });
  t.match(moved, { type: 'sessionMoved', before: session });
  t.strictSame(more, []);
  t.strictSame(messages(commands, 1), [], 'the agent hears nothing');
  t.strictSame(messages(commands, 2), [], 'nor does the older connection');
  t.notOk(commands.some(({ kind }) => kind === 'close'), 'which is not closed');
  t.match(commands.filter(({ kind }) => kind === 'event').at(-1), { event: { name: 'registration_moved', conn: 2, identity: uri('connector', 'c1'), by: 3, sessions: 1 } });
  t.match(relay.machine.stats(), { registeredConnectors: 1, sessions: 1 });
});

t.test('from then on the session is the newer connection’s alone', async (t) => {
  const { relay, session } = withSession();
  const moved = messages(takeOver(relay, 3, ['web']), 3)[1]!;
  if (moved.type !== 'sessionMoved') throw new Error(moved.type);
  t.strictSame(relay.say(2, { type: 'closeSession', session }), [], 'the old name is known to be gone');
  t.strictSame(relay.disconnect(2).filter(({ kind }) => kind === 'send'), [], 'the end of the older connection ends nothing');
  t.match(messages(relay.say(3, { type: 'closeSession', session: moved.session }), 1), [{ type: 'sessionClosed', code: 'session_ended' }]);
});

t.test('new sessions are asked of the newer connection', async (t) => {
  const { relay } = withSession();
  takeOver(relay, 3, ['web']);
  const commands = relay.open(1, 'web');
  t.strictSame(messages(commands, 2), []);
  t.match(messages(commands, 3), [{ type: 'incoming', service: 'web' }]);
});

t.test('a session that waits for an answer is asked of the newer connection', async (t) => {
  const { relay } = withSession();
  incomingOf(relay.open(1, 'web'));
  const commands = takeOver(relay, 3, ['web']);
  t.match(messages(commands, 2), [{ type: 'sessionClosed', code: 'connector_gone' }]);
  t.strictSame(messages(commands, 3).map(({ type }) => type).sort(), ['incoming', 'registerAck', 'sessionMoved']);
});

t.test('a session of a service that is registered no more ends', async (t) => {
  const { relay } = withSession();
  const commands = takeOver(relay, 3, ['ssh']);
  t.match(messages(commands, 1), [{ type: 'sessionClosed', code: 'connector_gone' }]);
  t.strictSame(messages(commands, 3).map(({ type }) => type), ['registerAck']);
});

t.test('without takeOver the older connection is closed, as ever', async (t) => {
  const { relay } = withSession();
  const commands = relay.register(3, { services: ['web'] });
  t.ok(eventCodes(commands).includes('registration_replaced registration_replaced'));
  t.ok(commands.some((command) => command.kind === 'close' && command.conn === 2));
  t.match(messages(commands, 1), [{ type: 'sessionClosed' }]);
});

t.test('another identity takes nothing over, and neither does a refused token', async (t) => {
  const { relay } = withSession();
  relay.connect(4, 'connector', 'c2');
  relay.hello(4, 'connector');
  t.strictSame(messages(takeOver(relay, 4, ['web']), 4).map(({ type }) => type), ['registerAck']);
  const refused = relay.say(3, { type: 'register', token: token({ code: 'token_expired', reason: '' }), takeOver: true });
  t.strictSame(messages(refused, 3).map(({ type }) => type), ['registerNack']);
  t.match(relay.machine.stats(), { registeredConnectors: 2, sessions: 1 });
  relay.connect(5, 'agent', 'alice');
  relay.hello(5, 'agent');
  t.strictSame(messages(takeOver(relay, 5, []), 5).map(({ type }) => type), ['registerAck'], 'an agent has none to take over');
});
