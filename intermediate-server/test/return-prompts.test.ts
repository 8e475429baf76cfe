// The order and pace in which clients of an earlier run are told.

import t from 'tap';
import type { Test } from 'tap';
import { PROMPT_INTERVAL_MS, PROMPTS_PER_SECOND, ReturnPrompts, type JournalEntry } from '@ztna/intermediate-server';
import { seededRandom } from '@ztna/protocol/testing';

const BATCH = (PROMPTS_PER_SECOND * PROMPT_INTERVAL_MS) / 1000;
const clients = (count: number): JournalEntry[] =>
  Array.from({ length: count }, (_, n) => ({ role: n % 4 === 0 ? 'connector' : 'agent', token: String(n), host: '192.0.2.1', port: 1 + n }));

const start = (t: Test, entries: readonly JournalEntry[], seed = 1, perSecond?: number): { sent: JournalEntry[]; done: Promise<void>; prompts: ReturnPrompts } => {
  const sent: JournalEntry[] = [];
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (finish = resolve));
  const send = (entry: JournalEntry): void => {
    sent.push(entry);
    if (sent.length === entries.length) finish();
  };
  const prompts = new ReturnPrompts(entries, { random: seededRandom(seed), send, ...(perSecond !== undefined && { perSecond }) });
  t.teardown(() => prompts.stop());
  return { sent, done, prompts };
};

t.test('tells everybody once, connectors first, in an order that is not the journal\'s', async (t) => {
  const entries = clients(40);
  const { sent, done, prompts } = start(t, entries);
  await done;
  t.equal(prompts.left, 0);
  t.strictSame(new Set(sent), new Set(entries));
  t.strictSame(sent.map(({ role }) => role), [...Array<string>(10).fill('connector'), ...Array<string>(30).fill('agent')]);
  const ports = sent.slice(10).map(({ port }) => port);
  t.notSame(ports, [...ports].sort((a, b) => a - b));
  t.notSame(start(t, entries, 2).sent.map(({ port }) => port), sent.slice(0, BATCH).map(({ port }) => port), 'and differs from time to time');
});

t.test('keeps the pace: one batch at once, and never two without the interval between them', async (t) => {
  const COUNT = 5 * BATCH;
  const began = performance.now();
  const { sent, done } = start(t, clients(COUNT));
  t.equal(sent.length, BATCH);
  await done;
  const took = performance.now() - began;
  // Node's timers may be a millisecond early each.
  t.ok(took >= 4 * (PROMPT_INTERVAL_MS - 1), `${took} ms`);
});

t.test('keeps a configured pace, one that is not whole in an interval included, and takes up another', async (t) => {
  const slow = 1000 / PROMPT_INTERVAL_MS / 2;
  const { sent, done, prompts } = start(t, clients(20), 1, slow);
  t.equal(sent.length, 0, 'half a prompt an interval: the first one is due after the second');
  await new Promise<void>((resolve) => {
    const look = (): void => void (sent.length > 0 ? resolve() : setTimeout(look, 1));
    look();
  });
  t.equal(sent.length, 1);
  prompts.setRate(100_000);
  await done;
  t.equal(prompts.left, 0);
});

t.test('stops when the relay does', async (t) => {
  const { sent, prompts } = start(t, clients(3 * BATCH));
  prompts.stop();
  await new Promise((resolve) => setTimeout(resolve, 3 * PROMPT_INTERVAL_MS));
  t.equal(sent.length, BATCH);
});

t.test('has nothing to do without clients', async (t) => {
  t.equal(start(t, []).prompts.left, 0);
});
