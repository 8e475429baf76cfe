// The limiter against one that never forgets: the same verdicts, in bounded memory, and no way for a
// flood of sources to buy anybody a fresh bucket.

import { DEFAULT_SOURCE_LIMITS, HalfOpenLimit, SourceEntry, SourceLimiter, type SourceKey, type SourceLimits } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';

const SMALL: SourceLimits = {
  handshakes: { perSecond: 20, burst: 4 },
  connections: 3,
  sources: 8,
  overflowHandshakes: { perSecond: 10, burst: 2 },
  overflowConnections: 2,
};

t.test('a source gets its burst of handshakes, then its rate', async (t) => {
  const limiter = new SourceLimiter({ ...DEFAULT_SOURCE_LIMITS, connections: 1000 }, 0);
  let granted = 0;
  for (let attempt = 0; attempt < 100; attempt++) if (admit(limiter, 1, 0)) granted++;
  t.equal(granted, 40);
  t.equal(limiter.admit(1, 0), 'source_handshake_rate');
  granted = 0;
  for (let now = 1; now <= 1000; now++) if (admit(limiter, 1, now)) granted++;
  t.equal(granted, 20);
  t.ok(admit(limiter, 2, 1000), 'another source is unaffected');
});

t.test('a source has 64 connections at a time', async (t) => {
  const limiter = new SourceLimiter(DEFAULT_SOURCE_LIMITS, 0);
  const entries: SourceEntry[] = [];
  for (let now = 0; now < 10_000; now += 50) {
    const entry = limiter.admit('2001:db8:0:1', now);
    if (entry instanceof SourceEntry) entries.push(entry);
    else t.equal(entry, 'source_connections');
  }
  t.equal(entries.length, 64);
  limiter.release(entries.pop()!);
  t.ok(admit(limiter, '2001:db8:0:1', 10_000));
  t.equal(limiter.admit('2001:db8:0:1', 10_050), 'source_connections');
});

t.test('releasing more often than was admitted is a fault of the caller', async (t) => {
  const limiter = new SourceLimiter(SMALL, 0);
  const entry = limiter.admit(1, 0) as SourceEntry;
  limiter.release(entry);
  t.throws(() => limiter.release(entry), RangeError);
});

t.test('a flood of sources neither grows the table nor resets the bucket of a limited source', async (t) => {
  const limiter = new SourceLimiter(SMALL, 0);
  let granted = 0;
  for (let attempt = 0; attempt < 100; attempt++) if (admitAndRelease(limiter, 'victim', 0)) granted++;
  t.equal(granted, SMALL.handshakes.burst);
  let largest = 0;
  for (let source = 0; source < 100_000; source++) {
    admitAndRelease(limiter, source, 0);
    largest = Math.max(largest, limiter.size);
  }
  t.equal(largest, SMALL.sources);
  t.equal(limiter.admit('victim', 0), 'source_handshake_rate', 'still knows the source that used its burst up');
  t.equal(limiter.admit('newcomer', 0), 'source_handshake_rate', 'newcomers share the overflow, which is used up');
  t.ok(admitAndRelease(limiter, 'victim', 50), 'a known source has its own rate while the table is full');
  t.ok(admitAndRelease(limiter, 'newcomer', 10_000), 'and there is room again when buckets are full');
});

t.test('a source with connections is never forgotten, however long it is quiet', async (t) => {
  const limiter = new SourceLimiter(SMALL, 0);
  const held = [0, 0, 0].map(() => limiter.admit('office', 0) as SourceEntry);
  for (let now = 0; now < 60_000; now += 10) admitAndRelease(limiter, now, now);
  t.equal(limiter.admit('office', 60_000), 'source_connections');
  for (const entry of held) limiter.release(entry);
  t.ok(admit(limiter, 'office', 60_001));
});

t.test('the table drains by itself, a few entries a call', async (t) => {
  const limiter = new SourceLimiter(DEFAULT_SOURCE_LIMITS, 0);
  for (let source = 0; source < 70_000; source++) admitAndRelease(limiter, source, 0);
  t.equal(limiter.size, 65_536);
  for (let call = 0; call < 65_536 / 3; call++) admitAndRelease(limiter, 'one', 2000 + call * 100);
  t.equal(limiter.size, 1);
});

t.test('connections of the overflow are counted apart and released apart', async (t) => {
  const limiter = new SourceLimiter({ ...SMALL, sources: 1 }, 0);
  const first = limiter.admit('known', 0) as SourceEntry;
  const over = [limiter.admit('a', 0), limiter.admit('b', 0)] as SourceEntry[];
  t.equal(limiter.overflowConnections, 2);
  t.equal(limiter.admit('c', 1000), 'source_connections');
  limiter.release(first);
  limiter.release(over[0]!);
  t.equal(limiter.overflowConnections, 1);
  t.ok(admit(limiter, 'a', 5000), 'a is known from here on');
  t.equal(limiter.overflowConnections, 1, 'which does not move its earlier connection');
  limiter.release(over[1]!);
  t.equal(limiter.overflowConnections, 0);
});

interface Step {
  readonly wait: number;
  readonly source: number;
  /** Below 0.4: releases some connection instead. */
  readonly what: number;
}
const steps = (sources: number) =>
  fc.array(fc.record<Step>({ wait: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 })), source: fc.nat(sources), what: fc.double({ min: 0, max: 1, noNaN: true }) }), { maxLength: 400 });

t.test('with room in the table it decides exactly as a limiter that never forgets', async (t) => {
  fc.assert(
    fc.property(steps(7), (script) => {
      const limiter = new SourceLimiter(SMALL, 0);
      const model = new NaiveLimiter(SMALL);
      const held: { entry: SourceEntry; source: number }[] = [];
      let now = 0;
      for (const { wait, source, what } of script) {
        now += wait;
        if (what < 0.4 && held.length > 0) {
          const [gone] = held.splice(source % held.length, 1);
          limiter.release(gone!.entry);
          model.release(gone!.source);
          continue;
        }
        const verdict = limiter.admit(source, now);
        if ((verdict instanceof SourceEntry ? 'granted' : verdict) !== model.admit(source, now)) return false;
        if (verdict instanceof SourceEntry) held.push({ entry: verdict, source });
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('with more sources than room it stays bounded, and nobody gets more than its own bucket and the overflow', async (t) => {
  fc.assert(
    fc.property(steps(40), (script) => {
      const limiter = new SourceLimiter(SMALL, 0);
      const model = new NaiveLimiter(SMALL);
      const held: { entry: SourceEntry; source: number }[] = [];
      let now = 0;
      let beyond = 0;
      for (const { wait, source, what } of script) {
        now += wait;
        if (what < 0.4 && held.length > 0) {
          const [gone] = held.splice(source % held.length, 1);
          limiter.release(gone!.entry);
          if (gone!.entry.key !== undefined) model.release(gone!.source);
        } else {
          const verdict = limiter.admit(source, now);
          if (verdict instanceof SourceEntry) {
            held.push({ entry: verdict, source });
            if (verdict.key === undefined) beyond++;
            else if (verdict.key !== source || model.admit(source, now) !== 'granted') return false;
          }
        }
        if (limiter.size > SMALL.sources || limiter.overflowConnections > SMALL.overflowConnections) return false;
        if (beyond > SMALL.overflowHandshakes.burst + (now / 1000) * SMALL.overflowHandshakes.perSecond + 1e-6) return false;
      }
      for (const { entry } of held) limiter.release(entry);
      return limiter.overflowConnections === 0;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('half-open handshakes have a cap, and less time as it comes near', async (t) => {
  const limit = new HalfOpenLimit({ handshakes: 4, timeoutMs: 10_000, pressedTimeoutMs: 2_000 });
  t.strictSame([1, 2, 3, 4, 5].map(() => limit.tryEnter()), [10_000, 10_000, 6_000, 2_000, 0]);
  t.equal(limit.inFlight, 4);
  limit.leave();
  t.equal(limit.tryEnter(), 2_000);
  for (let left = 0; left < 4; left++) limit.leave();
  t.equal(limit.inFlight, 0);
  t.throws(() => limit.leave(), RangeError);
});

function admit(limiter: SourceLimiter, key: SourceKey, now: number): boolean {
  return limiter.admit(key, now) instanceof SourceEntry;
}

function admitAndRelease(limiter: SourceLimiter, key: SourceKey, now: number): boolean {
  const entry = limiter.admit(key, now);
  if (!(entry instanceof SourceEntry)) return false;
  limiter.release(entry);
  return true;
}

/** One record a source for ever; levels in thousandths of a token, so exact. */
class NaiveLimiter {
  readonly #limits: SourceLimits;
  readonly #sources = new Map<number, { milli: number; at: number; connections: number }>();

  constructor(limits: SourceLimits) {
    this.#limits = limits;
  }

  admit(source: number, now: number): string {
    const { handshakes, connections } = this.#limits;
    const record = this.#sources.get(source) ?? { milli: handshakes.burst * 1000, at: now, connections: 0 };
    this.#sources.set(source, record);
    record.milli = Math.min(handshakes.burst * 1000, record.milli + (now - record.at) * handshakes.perSecond);
    record.at = now;
    if (record.milli < 1000) return 'source_handshake_rate';
    record.milli -= 1000;
    if (record.connections >= connections) return 'source_connections';
    record.connections++;
    return 'granted';
  }

  release(source: number): void {
    this.#sources.get(source)!.connections--;
  }
}

t.test('other limits hold from then on, for known sources too; who holds more keeps it and gets no more', async (t) => {
  const limiter = new SourceLimiter(SMALL, 0);
  const held = [0, 0, 0].map((now) => limiter.admit(1, now) as SourceEntry);
  limiter.setLimits({ ...SMALL, connections: 1, handshakes: { perSecond: 1000, burst: 1000 } });
  t.equal(limiter.admit(1, 1000), 'source_connections');
  t.equal(limiter.connections, 3);
  for (const entry of held) limiter.release(entry);
  t.ok(admit(limiter, 1, 1000));
  t.equal(limiter.admit(1, 1000), 'source_connections');
  limiter.setLimits({ ...SMALL, connections: 2 });
  t.ok(admit(limiter, 1, 5000));
  t.equal(limiter.connections, 2);
});

t.test('a smaller table shrinks as its sources are forgotten', async (t) => {
  const limiter = new SourceLimiter({ ...SMALL, sources: 100 }, 0);
  for (let source = 0; source < 100; source++) admitAndRelease(limiter, source, 0);
  t.equal(limiter.size, 100);
  limiter.setLimits({ ...SMALL, sources: 10 });
  for (let source = 1000; source < 1100; source++) admitAndRelease(limiter, source, 10_000);
  t.equal(limiter.size, 10);
});

t.test('half-open places follow other limits', async (t) => {
  const limit = new HalfOpenLimit({ handshakes: 2, timeoutMs: 100, pressedTimeoutMs: 10 });
  limit.tryEnter();
  limit.tryEnter();
  t.equal(limit.tryEnter(), 0);
  limit.setLimits({ handshakes: 4, timeoutMs: 1000, pressedTimeoutMs: 1000 });
  t.equal(limit.tryEnter(), 1000);
  limit.setLimits({ handshakes: 1, timeoutMs: 50, pressedTimeoutMs: 50 });
  t.equal(limit.tryEnter(), 0);
  for (let i = 0; i < 3; i++) limit.leave();
  t.equal(limit.inFlight, 0);
  t.equal(limit.tryEnter(), 50);
});
