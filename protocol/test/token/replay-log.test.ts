// The replay log alone: once, bounded, forgetting only what is expired, without scans.

import { MAX_NONCES_PER_KEY, MAX_TOKEN_LIFE_MS, ReplayLog, type ClaimOutcome } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';

const START = Date.UTC(2026, 0, 15);

t.test('a nonce is claimed once per key', async (t) => {
  const log = new ReplayLog();
  t.equal(log.claim('a', nonce(1), START + 1000, START), 'claimed');
  t.equal(log.claim('a', nonce(1), START + 1000, START), 'replayed');
  t.equal(log.claim('b', nonce(1), START + 1000, START), 'claimed');
  t.equal(log.claim('a', nonce(2), START + 1000, START), 'claimed');
});

t.test('nonces are compared by every byte', async (t) => {
  const log = new ReplayLog();
  for (let index = 0; index < 16; index++) {
    const bytes = new Uint8Array(16);
    bytes[index] = 0x80 + index;
    t.equal(log.claim('a', bytes, START + 1000, START), 'claimed');
  }
});

t.test('a full log refuses and forgets nothing live', async (t) => {
  const log = new ReplayLog({ maxNoncesPerKey: 3 });
  for (const n of [1, 2, 3]) t.equal(log.claim('a', nonce(n), START + n, START), 'claimed');
  t.equal(log.claim('a', nonce(4), START + 9, START), 'full');
  for (const n of [1, 2, 3]) t.equal(log.claim('a', nonce(n), START + n, START), 'replayed', `still knows ${n}`);
  t.equal(log.claim('b', nonce(4), START + 9, START), 'claimed', 'another key has room');
  t.equal(log.claim('a', nonce(4), START + 9, START + 1), 'claimed', 'the first has expired');
  t.equal(log.claim('a', nonce(5), START + 9, START + 1), 'full');
});

t.test('the default holds 65 536 live nonces of a key', async (t) => {
  const log = new ReplayLog();
  t.equal(MAX_NONCES_PER_KEY, 65_536);
  for (let n = 0; n < MAX_NONCES_PER_KEY; n++) {
    if (log.claim('a', nonce(n), START + 90_000, START) !== 'claimed') t.fail(`refused number ${n}`);
  }
  t.equal(log.claim('a', nonce(MAX_NONCES_PER_KEY), START + 90_000, START), 'full');
  t.equal(log.claim('a', nonce(0), START + 90_000, START), 'replayed');
  t.equal(log.claim('a', nonce(MAX_NONCES_PER_KEY), START + 180_000, START + 90_000), 'claimed');
});

t.test('a nonce is gone within one token life of its own arrival, though an earlier one lives longer', async (t) => {
  const log = new ReplayLog({ maxNoncesPerKey: 2 });
  log.claim('a', nonce(1), START + MAX_TOKEN_LIFE_MS, START);
  log.claim('a', nonce(2), START + 10_000, START + 1);
  const end = START + MAX_TOKEN_LIFE_MS;
  t.equal(log.claim('a', nonce(3), end + 1, end - 1), 'full', 'the long-lived one holds its place');
  t.equal(log.claim('a', nonce(3), end + 1, end), 'claimed');
  t.equal(log.size, 1);
});

t.test('keys nobody uses any more are let go while others register', async (t) => {
  const log = new ReplayLog();
  for (let key = 0; key < 100; key++) log.claim(`key-${key}`, nonce(1), START + 1000, START);
  t.equal(log.size, 100);
  for (let n = 0; n < 100; n++) log.claim('busy', nonce(n), START + 90_000, START + 1000);
  t.equal(log.size, 100, 'only the busy key is left');
});

t.test('one call forgets few, so that none stalls, and more than it adds', async (t) => {
  const log = new ReplayLog();
  for (let n = 0; n < 10_000; n++) log.claim('a', nonce(n), START + 1000, START);
  log.claim('a', nonce(-1), START + 99_000, START + 1000);
  t.ok(log.size > 9_900, `${log.size} left`);
  for (let n = 0; n < 400; n++) log.claim('a', nonce(20_000 + n), START + 99_000, START + 1000);
  t.equal(log.size, 401);
});

t.test('a clock set back revives nothing that was forgotten', async (t) => {
  const log = new ReplayLog();
  log.claim('a', nonce(1), START + 90_000, START);
  log.claim('b', nonce(2), START + 10_000_000, START + 9_900_000);
  t.equal(log.size, 1, 'forgotten after the jump ahead');
  t.equal(log.claim('a', nonce(1), START + 90_000, START), 'clock_moved_back');
  t.equal(log.claim('a', nonce(3), START + 90_001, START), 'claimed', 'however far the jump, newer tokens pass');
});

t.test('no sequence of claims, clocks and keys accepts a nonce twice or outgrows its bound', async (t) => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    nonce: fc.nat({ max: 12 }),
    /** mostly forwards, sometimes back */
    tick: fc.integer({ min: -60_000, max: 200_000 }),
    life: fc.integer({ min: 1, max: MAX_TOKEN_LIFE_MS }),
  });
  const seenOutcomes = new Set<ClaimOutcome>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), (steps) => {
      const log = new ReplayLog({ maxNoncesPerKey: 4 });
      // One token per key and nonce: its expiry is fixed when first seen.
      const expiries = new Map<string, number>();
      const accepted = new Set<string>();
      let now = START;
      for (const { key, nonce: n, tick, life } of steps) {
        now += tick;
        const token = `${key}/${n}`;
        const expiresAt = expiries.get(token) ?? now + life;
        expiries.set(token, expiresAt);
        if (now >= expiresAt || expiresAt > now + MAX_TOKEN_LIFE_MS) continue;
        const outcome = log.claim(key, nonce(n), expiresAt, now);
        seenOutcomes.add(outcome);
        if (outcome === 'claimed' && accepted.has(token)) return false;
        if (outcome === 'claimed') accepted.add(token);
        if (log.size > 3 * 4) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.same([...seenOutcomes].sort(), ['claimed', 'clock_moved_back', 'full', 'replayed'], 'every outcome was met');
});

function nonce(n: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setInt32(12, n);
  return bytes;
}
