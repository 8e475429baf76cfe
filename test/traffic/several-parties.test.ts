// Several agents, services and connectors at once: everyone gets what is theirs and nothing crosses.

import t from 'tap';
import { Lab, type RunningAgent } from '../harness/lab.js';
import { patternBytes } from '../harness/pattern.js';
import { exchange, startEchoBackend, startTaggedBackend } from '../harness/tcp.js';

const AGENTS = 20;
const TRANSFER_BYTES = 250_000;

const lab = Lab.create(t);
const names = Array.from({ length: AGENTS }, (_, i) => `agent-${i}`);
for (const name of names) lab.enrol('agent', name);
lab.enrol('connector', 'pair', ['one', 'two']);
for (const twin of ['twin-a', 'twin-b']) lab.enrol('connector', twin, ['shared']);
await lab.startRelay([{ allow: names, services: ['one', 'two', 'shared'] }]);
const echo = await startEchoBackend(t);
const two = await startTaggedBackend(t, 'two');
await lab.startConnector('pair', { one: { backend: echo.address }, two: { backend: two.address } });
for (const twin of ['twin-a', 'twin-b']) {
  await lab.startConnector(twin, { shared: { backend: (await startTaggedBackend(t, twin)).address } });
}
const agents: RunningAgent[] = [];
for (const name of names) agents.push(await lab.startAgent(name, [{ service: 'one' }, { service: 'two' }, { service: 'shared' }]));

t.test('two services of one connector lead each to its own backend', async (t) => {
  const [agent] = agents;
  const replies = await Promise.all([exchange(t, agent!.port('one'), 'hello'), exchange(t, agent!.port('two'), 'hello')]);
  t.same(replies.map(({ received }) => received.toString()), ['hello', 'two']);
});

t.test(`${AGENTS} agents use one service at once and nothing crosses`, async (t) => {
  const outcomes = await Promise.all(agents.map((agent, i) => exchange(t, agent.port('one'), patternBytes(i, TRANSFER_BYTES))));
  const wrong = outcomes.filter(({ received, ending }, i) => ending !== 'end' || !received.equals(patternBytes(i, TRANSFER_BYTES)));
  t.equal(wrong.length, 0, 'every agent got its own bytes back');
});

t.test('two connectors of one service take turns', async (t) => {
  const served: string[] = [];
  for (const agent of agents.slice(0, 6)) served.push((await exchange(t, agent.port('shared'), 'who?')).received.toString());
  t.same(served, ['twin-a', 'twin-b', 'twin-a', 'twin-b', 'twin-a', 'twin-b']);
});

t.test('flows of one agent stay with the connector of its session', async (t) => {
  const served = new Set<string>();
  for (let i = 0; i < 5; i++) served.add((await exchange(t, agents[0]!.port('shared'), 'who?')).received.toString());
  t.same([...served], ['twin-a']);
});
