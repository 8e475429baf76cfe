// The relay's bounds: what is refused at them, and what frees room again.

import t from 'tap';
import { DEFAULT_RELAY_LIMITS, DeadlineList, type RelayLimits } from '@ztna/protocol';
import { incomingOf, messages, RelayFixture } from './relay-fixture.js';

t.test('keeps the documented defaults', (t) => {
  t.same(DEFAULT_RELAY_LIMITS, {
    maxSessions: 65_536,
    maxSessionsPerAgent: 1024,
    maxPendingOpensPerAgent: 64,
    maxServicesPerRegistration: 64,
    maxFailedRegistrations: 10,
    maxConnectorsPerOpen: 8,
    acceptTimeoutMs: 5_000,
    helloTimeoutMs: 10_000,
    sessionIdleMs: 180_000,
    idleTimeoutMs: 30_000,
  });
  t.end();
});

t.test('bounds the sessions of one agent over all its connections, not those of another', (t) => {
  const relay = withWeb({ maxSessionsPerAgent: 3 });
  relay.joinAgent(3, 'alice');
  relay.joinAgent(4, 'bob');
  const { agentEnd } = relay.session(1, 'web');
  relay.session(1, 'web');
  relay.session(3, 'web');
  t.same(refusal(relay, 3), 'too_many_sessions: 3 are open');
  relay.session(4, 'web');
  relay.say(1, { type: 'closeSession', session: agentEnd });
  relay.session(3, 'web');
  t.same(refusal(relay, 1), 'too_many_sessions: 3 are open');
  relay.disconnect(3);
  relay.session(1, 'web');
  t.end();
});

t.test('limits may change while it runs: sessions that are open stay, decisions to come follow', (t) => {
  const relay = withWeb({ maxSessionsPerAgent: 2 });
  relay.session(1, 'web');
  relay.session(1, 'web');
  relay.limits.maxSessionsPerAgent = 3;
  relay.session(1, 'web');
  relay.limits.maxSessionsPerAgent = 1;
  t.same(refusal(relay, 1), 'too_many_sessions: 3 are open');
  t.equal(relay.machine.stats().sessions, 3);
  t.end();
});

t.test('a shorter time to answer holds for opens to come, and none of them is given up before an earlier one', (t) => {
  const list = [] as string[];
  let timeoutMs = 1000;
  const deadlines = new DeadlineList<string>(() => timeoutMs);
  deadlines.set('first', 0);
  timeoutMs = 10;
  deadlines.set('second', 100);
  t.equal(deadlines.takeDue(999), undefined);
  for (let item; (item = deadlines.takeDue(1000)); ) list.push(item);
  t.same(list, ['first', 'second']);
  deadlines.set('third', 2000);
  t.equal(deadlines.earliest, 2010);
  t.end();
});

t.test('bounds the opens of one agent that wait for an answer', (t) => {
  const relay = withWeb({ maxPendingOpensPerAgent: 2 });
  relay.joinAgent(3, 'alice');
  const { session } = incomingOf(relay.open(1, 'web')).message;
  relay.open(3, 'web');
  t.same(refusal(relay, 1), 'too_many_sessions: 2 opens wait for an answer');
  relay.say(2, { type: 'accept', session });
  relay.open(1, 'web');
  t.same(refusal(relay, 1), 'too_many_sessions: 2 opens wait for an answer');
  relay.advance(5_000);
  t.equal(relay.machine.stats().pendingSessions, 0);
  relay.session(1, 'web');
  t.end();
});

t.test('bounds the sessions of everybody together', (t) => {
  const relay = withWeb({ maxSessions: 2 });
  relay.joinAgent(3, 'bob');
  relay.session(1, 'web');
  relay.open(3, 'web');
  t.same(refusal(relay, 1), 'too_many_sessions: this relay is full');
  relay.disconnect(3);
  relay.session(1, 'web');
  t.end();
});

/** alice on 1, connector c1 serving web on 2. */
function withWeb(limits: Partial<RelayLimits>): RelayFixture {
  const relay = new RelayFixture({ limits });
  relay.joinAgent(1, 'alice');
  relay.joinConnector(2, 'c1', ['web']);
  return relay;
}

/** The answer to an open that fails at once. */
function refusal(relay: RelayFixture, agent: number): string {
  const [answer, ...more] = messages(relay.open(agent, 'web'), agent);
  if (answer?.type !== 'openFailed' || more.length > 0) throw new Error(`not refused: ${JSON.stringify(answer)}`);
  return `${answer.code}: ${answer.reason}`;
}
