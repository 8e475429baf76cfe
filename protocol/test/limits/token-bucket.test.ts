// The bucket against exact arithmetic, and against clocks that jump.

import { BucketRate, TokenBucket } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';

const bucket = (perSecond: number, burst: number, now = 0): TokenBucket => new TokenBucket(new BucketRate({ perSecond, burst }), now);

const rates = fc.record({ perSecond: fc.integer({ min: 1, max: 250_000_000 }), burst: fc.integer({ min: 1, max: 12_500_000 }) });

t.test('grants the burst at once, then one token each time one has refilled', async (t) => {
  const b = bucket(5, 10);
  for (let taken = 0; taken < 10; taken++) t.ok(b.take(0));
  t.notOk(b.take(0));
  t.notOk(b.take(199));
  t.ok(b.take(200));
  t.notOk(b.take(399.9));
  t.ok(b.take(400));
});

t.test('a refused take costs nothing, and a cost above the burst is never granted', async (t) => {
  const b = bucket(10, 10);
  t.notOk(b.take(0, 11));
  t.equal(b.untilAvailable(0, 11), Infinity);
  t.ok(b.take(0, 10));
  t.notOk(b.take(500, 6));
  t.ok(b.take(500, 5));
});

t.test('a rate of zero grants its burst and no more', async (t) => {
  const b = bucket(0, 2);
  t.ok(b.take(0) && b.take(1));
  t.notOk(b.take(1e12));
  t.equal(b.untilAvailable(1e12), Infinity);
});

t.test('many small refills grant exactly what one large refill grants', async (t) => {
  const b = bucket(5, 10);
  b.take(0, 10);
  let granted = 0;
  // 0.1 ms is no exact double, and 0.0005 tokens a step neither: an hour of it would drift.
  for (let step = 1; step <= 36_000_000 / 50; step++) if (b.take(step / 10)) granted++;
  t.equal(granted, (36_000_000 / 50 / 10 / 1000) * 5);
});

t.test('over any span grants at most burst + rate × time, and a greedy taker gets all of it', async (t) => {
  fc.assert(
    fc.property(rates, fc.array(fc.double({ min: 0, max: 10_000, noNaN: true }), { minLength: 1, maxLength: 200 }), (rate, steps) => {
      const b = new TokenBucket(new BucketRate(rate), 0);
      let now = 0;
      let granted = 0;
      let wasted = 0;
      for (const step of steps) {
        now += step;
        const before = b.available(now);
        const refilled = rate.burst + (now * rate.perSecond) / 1000 - granted - wasted;
        wasted += Math.max(0, refilled - rate.burst);
        const cost = Math.max(1, Math.floor(before));
        if (b.take(now, cost)) granted += cost;
        const allowed = rate.burst + (now * rate.perSecond) / 1000;
        const tolerance = b.rate.slack + allowed * 1e-9;
        if (granted > allowed + tolerance) return false;
        // Nothing is lost beyond what overflowed: what is left is what exact arithmetic leaves.
        if (Math.abs(b.available(now) - (allowed - granted - wasted)) > tolerance) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('waiting untilAvailable is enough, and a millisecond less is not', async (t) => {
  fc.assert(
    fc.property(
      rates,
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.array(fc.tuple(fc.double({ min: 0, max: 5000, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), { maxLength: 30 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rate, start, history, part) => {
        const b = new TokenBucket(new BucketRate(rate), start);
        let now = start;
        for (const [step, share] of history) b.take((now += step), Math.ceil(share * rate.burst));
        const cost = Math.max(1, Math.ceil(part * rate.burst));
        const wait = b.untilAvailable(now, cost);
        if (wait > 1 && b.take(now + wait - 1.01, cost)) return false;
        return b.take(now + wait, cost);
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});

t.test('a clock set back locks nobody out and gives nothing away', async (t) => {
  const b = bucket(10, 10, 1e9);
  t.ok(b.take(1e9, 10));
  t.notOk(b.take(5), 'no windfall at the moment of the jump');
  t.notOk(b.take(104));
  t.ok(b.take(105), 'refills from the new reading on');
  let granted = 0;
  for (let swing = 0; swing < 1000; swing++) if (b.take(swing % 2 === 0 ? 0 : 0.01)) granted++;
  t.equal(granted, 0, 'swinging by a hundredth of a millisecond earns what the forward half of it does');
});

t.test('a clock far ahead fills the bucket and no more', async (t) => {
  const b = bucket(1_000_000, 5);
  t.ok(b.take(0, 5));
  for (const now of [Number.MAX_SAFE_INTEGER, Number.MAX_VALUE]) {
    t.ok(b.take(now, 5));
    t.notOk(b.take(now));
  }
});

t.test('a reading that is no number changes nothing', async (t) => {
  const b = bucket(1000, 2);
  t.ok(b.take(NaN));
  t.ok(b.take(NaN));
  t.notOk(b.take(NaN));
  t.ok(b.take(1));
});

t.test('is full again when all has refilled', async (t) => {
  const b = bucket(20, 40);
  t.ok(b.isFull(0));
  b.take(0, 40);
  t.equal(b.rate.fillMs, 2000);
  t.notOk(b.isFull(1999));
  t.ok(b.isFull(2000));
});

t.test('a rate that makes no sense is refused', async (t) => {
  for (const [perSecond, burst] of [[-1, 1], [NaN, 1], [Infinity, 1], [1, 0], [1, NaN], [1, Infinity]] as const) {
    t.throws(() => new BucketRate({ perSecond, burst }), RangeError);
  }
});
