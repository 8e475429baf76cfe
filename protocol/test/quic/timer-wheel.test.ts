// The wheel against the naive thing it replaces: a map of deadlines looked through at every advance.

import fc from 'fast-check';
import t from 'tap';
import { TimerFiling, TimerWheel, type TimerEntry } from '@ztna/protocol';

interface Entry extends TimerEntry {
  readonly name: number;
}
const entry = (name: number): Entry => ({ name, due: Infinity, filing: new TimerFiling() });

type Step = { readonly kind: 'schedule'; readonly name: number; readonly in: number } | { readonly kind: 'advance'; readonly by: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('schedule' as const), name: fc.nat(7), in: fc.oneof(fc.double({ min: -5, max: 40, noNaN: true }), fc.double({ min: 0, max: 5000, noNaN: true }), fc.double({ min: 0, max: 100_000, noNaN: true }), fc.constant(Infinity)) }),
  fc.record({ kind: fc.constant('advance' as const), by: fc.oneof(fc.double({ min: 0, max: 3, noNaN: true }), fc.double({ min: 0, max: 4000, noNaN: true }), fc.double({ min: 0, max: 90_000, noNaN: true })) }),
);

t.test('fires what the naive model fires: never early, at most a tick late, never lost', async () => {
  fc.assert(fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), fc.array(step, { maxLength: 80 }), (start, steps) => {
    let now = start;
    const wheel = new TimerWheel<Entry>(now);
    const entries = Array.from({ length: 8 }, (_, name) => entry(name));
    const model = new Map<number, number>();
    for (const s of steps) {
      if (s.kind === 'schedule') {
        wheel.schedule(entries[s.name]!, now + s.in);
        if (s.in === Infinity) model.delete(s.name);
        else model.set(s.name, Math.max(now, now + s.in)); // one that is overdue already is due now
      } else {
        now += s.by;
        wheel.advance(now, ({ name }) => {
          if (!(model.get(name)! <= now)) throw new Error(`${name} fired early`);
          model.delete(name);
        });
        // What is due and did not fire waits for its tick, which is less than a millisecond away.
        for (const [name, due] of model) if (Math.ceil(due) < Math.floor(now)) throw new Error(`${name} was lost`);
      }
      const next = wheel.next();
      const earliest = Math.min(...model.values());
      if (earliest !== Infinity && (next === undefined || next > Math.max(Math.ceil(earliest), Math.floor(now) + 1))) throw new Error(`next() is ${String(next)}, but ${earliest} is due`);
    }
    wheel.advance(now + 200_000, ({ name }) => model.delete(name));
    for (let turn = 1; turn < 8 && model.size > 0; turn++) wheel.advance(now + 200_000 + turn, ({ name }) => model.delete(name));
    if (model.size > 0) throw new Error('entries were lost');
  }), { numRuns: 500 });
});

t.test('an entry that is filed anew hides none that is filed before it', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const [soon, moved] = [entry(0), entry(1)];
  wheel.schedule(soon, 5);
  wheel.schedule(moved, 1);
  wheel.schedule(moved, 900);
  wheel.advance(1, () => t.fail('nothing is due'));
  t.equal(wheel.next(), 5);
});

t.test('a deadline that moves later stays filed where it is, and fires at the later time', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const one = entry(1);
  wheel.schedule(one, 10);
  t.equal(one.filing.near, 10);
  for (let due = 11; due <= 50; due++) wheel.schedule(one, due);
  t.equal(one.filing.near, 10, 'not filed again');
  const fired: number[] = [];
  for (let now = 0; now <= 60; now++) wheel.advance(now, () => fired.push(now));
  t.same(fired, [50]);
});

t.test('a process that slept for several turns fires every entry once', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const fired: number[] = [];
  for (let name = 0; name < 100; name++) wheel.schedule(entry(name), name * 370);
  wheel.advance(1_000_000, ({ name }) => fired.push(name));
  for (let now = 1_000_001; now < 1_000_004; now++) wheel.advance(now, ({ name }) => fired.push(name));
  t.equal(fired.length, 100);
  t.equal(new Set(fired).size, 100);
  t.equal(wheel.next(), undefined);
});

t.test('an entry armed again by its own callback fires again', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const one = entry(1);
  let fired = 0;
  wheel.schedule(one, 5);
  for (let now = 0; now <= 30; now++) {
    wheel.advance(now, (due) => {
      t.equal(due.due, Infinity, 'disarmed first');
      fired++;
      wheel.schedule(due, now + 5);
    });
  }
  t.equal(fired, 6);
});

t.test('next is undefined while nothing is filed', async (t) => {
  const wheel = new TimerWheel<Entry>(100);
  t.equal(wheel.next(), undefined);
  wheel.schedule(entry(1), Infinity);
  t.equal(wheel.next(), undefined);
  wheel.schedule(entry(2), 50);
  t.equal(wheel.next(), 100, 'overdue already');
});

t.test('deadlines that leave for the next minute before they are due wake hardly anybody', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const clients = Array.from({ length: 10_000 }, (_, name) => entry(name));
  const fired: number[] = [];
  let wakes = 0;
  // One each millisecond is asked something, which it answers in 2 ms, and idles out after 30 s without.
  for (let now = 0; now < 60_000; now++) {
    wheel.schedule(clients[now % 10_000]!, now + 40);
    if (now >= 2) wheel.schedule(clients[(now - 2) % 10_000]!, now + 30_000);
    if (wheel.next()! > now) continue;
    wakes++;
    wheel.advance(now, ({ name }) => fired.push(name));
  }
  t.same(fired, []);
  // One for each time that all of the last answers are in, and one for each second.
  t.ok(wakes < 60_000 / 30, `${wakes} wakes for 60 000 questions`);
  wheel.advance(95_000, ({ name }) => fired.push(name));
  t.equal(fired.length, 10_000, 'each idles out in the end');
});

t.test('a place that is used again is not taken twice', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const one = entry(1);
  for (let turn = 0; turn < 1000; turn++) {
    wheel.schedule(one, 40 + (turn % 7));
    wheel.schedule(one, 30_000 + turn);
  }
  const fired: number[] = [];
  for (let now = 0; now <= 31_000; now++) wheel.advance(now, () => fired.push(now));
  t.same(fired, [30_999]);
});

t.test('an entry that was disarmed is let go of though nothing else is armed', async (t) => {
  const wheel = new TimerWheel<Entry>(0);
  const one = entry(1);
  wheel.schedule(one, 40);
  wheel.schedule(one, Infinity);
  const next = wheel.next();
  t.type(next, 'number');
  wheel.advance(Math.max(next!, 1023), () => t.fail('nothing is due'));
  t.equal(wheel.next(), undefined);
});
