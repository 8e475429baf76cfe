// Retry tokens, adversary first.

import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { RandomRetryKeys, RETRY_CLOCK_SKEW_MS, RETRY_KEY_ROTATION_MS, RETRY_TOKEN_TTL_MS, RetryTokens, SharedRetryKeys, type RetryKeys } from '@ztna/protocol';

const ODCID = Buffer.from('0011223344556677', 'hex');
const SCID = Buffer.alloc(16, 7);
const NOW = 5000;

/** Deterministic, and different for every seed. */
const randomFrom = (seed: string): ((size: number) => Buffer) => {
  let counter = 0;
  return (size) => createHash('sha256').update(`${seed} ${counter++}`).digest().subarray(0, size);
};

/** Tokens whose clock is the argument of every call. */
class Tokens {
  readonly inner: RetryTokens;
  now = NOW;

  constructor(keys: RetryKeys, random = randomFrom('iv')) {
    this.inner = new RetryTokens(this.#at(keys), random);
  }

  mint(host: string, port: number, odcid: Uint8Array, scid: Uint8Array, now: number): Buffer {
    this.now = now;
    return this.inner.mint(host, port, odcid, scid);
  }

  open(token: Uint8Array, host: string, port: number, scid: Uint8Array, now: number): Buffer | undefined {
    this.now = now;
    return this.inner.open(token, host, port, scid);
  }

  setKeys(keys: RetryKeys): void {
    this.inner.setKeys(this.#at(keys));
  }

  #at(keys: RetryKeys): RetryKeys {
    return { clock: () => this.now, skewMs: keys.skewMs, current: (now) => keys.current(now), find: (id, now) => keys.find(id, now) };
  }
}

const create = (seed = 'a'): Tokens => new Tokens(new RandomRetryKeys(NOW, randomFrom(seed)), randomFrom(`iv ${seed}`));

t.test('gives back the original connection id of any length', async (t) => {
  const tokens = create();
  for (const length of [8, 16, 20]) {
    const id = Buffer.alloc(length, length);
    t.same(tokens.open(tokens.mint('192.0.2.1', 443, id, SCID, NOW), '192.0.2.1', 443, SCID, NOW), id);
  }
});

t.test('refuses every bit flip and every truncation', async (t) => {
  const tokens = create();
  const token = tokens.mint('192.0.2.1', 443, ODCID, SCID, NOW);
  for (let bit = 0; bit < token.length * 8; bit++) {
    const flipped = Buffer.from(token);
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7));
    if (tokens.open(flipped, '192.0.2.1', 443, SCID, NOW) !== undefined) t.fail(`bit ${bit}`);
  }
  for (let length = 0; length < token.length; length++) {
    if (tokens.open(token.subarray(0, length), '192.0.2.1', 443, SCID, NOW) !== undefined) t.fail(`${length} bytes`);
  }
  t.equal(tokens.open(Buffer.concat([token, Buffer.of(0)]), '192.0.2.1', 443, SCID, NOW), undefined);
  t.ok(tokens.open(token, '192.0.2.1', 443, SCID, NOW), 'while the token itself is good');
});

t.test('refuses another address, port or connection id', async (t) => {
  const tokens = create();
  const token = tokens.mint('192.0.2.1', 443, ODCID, SCID, NOW);
  t.equal(tokens.open(token, '192.0.2.2', 443, SCID, NOW), undefined);
  t.equal(tokens.open(token, '192.0.2.1', 444, SCID, NOW), undefined);
  t.equal(tokens.open(token, '192.0.2.1', 443, Buffer.alloc(16, 8), NOW), undefined);
  t.equal(tokens.open(token, '192.0.2.1', 443, SCID.subarray(1), NOW), undefined);
});

t.test('expires to the millisecond, and is refused before its time', async (t) => {
  const tokens = create();
  const token = tokens.mint('192.0.2.1', 443, ODCID, SCID, NOW);
  t.ok(tokens.open(token, '192.0.2.1', 443, SCID, NOW + RETRY_TOKEN_TTL_MS));
  t.equal(tokens.open(token, '192.0.2.1', 443, SCID, NOW + RETRY_TOKEN_TTL_MS + 1), undefined);
  t.equal(tokens.open(token, '192.0.2.1', 443, SCID, NOW - 2), undefined);
});

t.test('rotation keeps the previous key and forgets the one before', async (t) => {
  const tokens = create();
  const edge = NOW + RETRY_KEY_ROTATION_MS;
  const first = tokens.mint('192.0.2.1', 443, ODCID, SCID, edge - 1);
  t.equal(first[0], 0);
  const second = tokens.mint('192.0.2.1', 443, ODCID, SCID, edge);
  t.equal(second[0], 1, 'another key');
  t.ok(tokens.open(first, '192.0.2.1', 443, SCID, edge + 1), 'the previous one is good');
  const late = tokens.mint('192.0.2.1', 443, ODCID, SCID, edge + RETRY_KEY_ROTATION_MS);
  t.equal(late[0], 2);
  t.equal(tokens.open(first, '192.0.2.1', 443, SCID, edge - 1), undefined, 'even at a time when it was fresh');
});

t.test('two instances do not accept each other', async (t) => {
  const token = create('a').mint('192.0.2.1', 443, ODCID, SCID, NOW);
  t.equal(create('b').open(token, '192.0.2.1', 443, SCID, NOW), undefined);
});

const FILE_KEY = Buffer.alloc(32, 0x5a);
const HOUR = RETRY_KEY_ROTATION_MS;
/** The turn of an hour of the wall clock. */
const TURN = 500_000 * HOUR;
const shared = (fileKey = FILE_KEY): Tokens => new Tokens(new SharedRetryKeys(fileKey));
const mintAt = (tokens: Tokens, now: number): Buffer => tokens.mint('192.0.2.1', 443, ODCID, SCID, now);
const opens = (tokens: Tokens, token: Buffer, now: number): boolean => tokens.open(token, '192.0.2.1', 443, SCID, now) !== undefined;

t.test('relays with the same key file accept each other, those with another do not', async (t) => {
  const token = mintAt(shared(), TURN + 5);
  t.ok(opens(shared(), token, TURN + 5));
  t.notOk(opens(shared(Buffer.alloc(32, 0x5b)), token, TURN + 5));
});

t.test('a shared key changes at the hour of the wall clock; a token lives its minute across the turn', async (t) => {
  const before = mintAt(shared(), TURN - 1);
  const after = mintAt(shared(), TURN);
  t.not(before[0], after[0]);
  t.ok(opens(shared(), before, TURN + RETRY_TOKEN_TTL_MS - 1));
  t.notOk(opens(shared(), before, TURN + RETRY_TOKEN_TTL_MS));
});

t.test('a relay whose clock is behind takes tokens of one ahead by up to 30 s, across the turn of the hour too', async (t) => {
  for (const minted of [TURN + 1, TURN + HOUR / 2]) {
    const token = mintAt(shared(), minted);
    t.ok(opens(shared(), token, minted - RETRY_CLOCK_SKEW_MS));
    t.notOk(opens(shared(), token, minted - RETRY_CLOCK_SKEW_MS - 1));
  }
});

t.test('an hour that is neither now nor a neighbour has no key, whatever the number it shares', async (t) => {
  const token = mintAt(shared(), TURN);
  for (const hours of [2, -2, 256, -256]) t.notOk(opens(shared(), token, TURN + hours * HOUR));
});

t.test('the hourly key is HKDF-SHA-256 of the file and the hour', async (t) => {
  const keys = new SharedRetryKeys(Buffer.alloc(32, 1));
  const { id, secret } = keys.current(TURN);
  t.equal(id, 500_000 & 0xff);
  // extract: HMAC(32 zero bytes, key); expand: HMAC(prk, info | 01)
  const hmac = (key: Buffer, data: Buffer): Buffer => createHmac('sha256', key).update(data).digest();
  const prk = hmac(Buffer.alloc(32), Buffer.alloc(32, 1));
  t.same(secret, hmac(prk, Buffer.concat([Buffer.from('ztna retry token 500000'), Buffer.of(1)])));
});

t.test('keys that were exchanged open their tokens for as long as these live', async (t) => {
  const tokens = shared();
  const old = mintAt(tokens, TURN + 1000);
  tokens.setKeys(new SharedRetryKeys(Buffer.alloc(32, 2)));
  const token = mintAt(tokens, TURN + 2000);
  t.ok(opens(tokens, old, TURN + 2000));
  t.ok(opens(tokens, token, TURN + 2000));
  t.notOk(opens(tokens, old, TURN + 1001 + RETRY_TOKEN_TTL_MS));
  t.notOk(opens(shared(), token, TURN + 2000), 'sealed with the new ones');
});

t.test('a token longer than any of ours is not looked at', async (t) => {
  const tokens = create();
  const token = mintAt(tokens, NOW);
  t.notOk(opens(tokens, Buffer.concat([token, Buffer.alloc(1400)]), NOW));
});
