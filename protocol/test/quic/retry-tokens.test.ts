// Retry tokens, adversary first.

import { createHash } from 'node:crypto';
import t from 'tap';
import { RETRY_KEY_ROTATION_MS, RETRY_TOKEN_TTL_MS, RetryTokens } from '@ztna/protocol';

const ODCID = Buffer.from('0011223344556677', 'hex');
const SCID = Buffer.alloc(16, 7);
const NOW = 5000;

/** Deterministic, and different for every seed. */
const randomFrom = (seed: string): ((size: number) => Buffer) => {
  let counter = 0;
  return (size) => createHash('sha256').update(`${seed} ${counter++}`).digest().subarray(0, size);
};
const create = (seed = 'a', now = NOW): RetryTokens => new RetryTokens(randomFrom(seed), now);

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
