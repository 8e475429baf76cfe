// Retry tokens: nothing opens but what was minted here, for this address and connection id. The input is a
// patch over a good token: where (a byte), then bytes that are XORed into it; a longer one replaces it.

import { RetryTokens, type RetryKey, type RetryKeys } from '@ztna/protocol';
import { concat, equal } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const HOST = '198.51.100.7';
const PORT = 50_000;
const ORIGINAL = Buffer.from('1122334455667788', 'hex');
const RETRY_SCID = Buffer.alloc(16, 4);
const key: RetryKey = { id: 0, secret: Buffer.alloc(32, 7) };
/** One key, at a time that stands still. */
const keys: RetryKeys = { clock: () => 1_000, skewMs: 0, current: () => key, find: (id) => (id === key.id ? key : undefined) };
const tokens = new RetryTokens(keys, (size) => Buffer.alloc(size, 7));
const good = tokens.mint(HOST, PORT, ORIGINAL, RETRY_SCID);
const open = (token: Uint8Array): Buffer | undefined => tokens.open(token, HOST, PORT, RETRY_SCID);

export const target: FuzzTarget = {
  decodes: 'RetryTokens.open',
  maxBytes: 256,
  memory: { base: 32_768, perByte: 64 },
  *seeds() {
    yield Uint8Array.of(0);
    yield Uint8Array.of(3, 1);
    yield concat(Uint8Array.of(0), good);
    yield new Uint8Array(good);
  },
  run(input) {
    const direct = open(input);
    ensure(direct === undefined || equal(input, good), 'a token of somebody else opened');
    const at = input[0] ?? 0;
    const patched = new Uint8Array(good);
    for (let index = 1; index < input.length && at + index - 1 < patched.length; index++) patched[at + index - 1]! ^= input[index]!;
    const opened = open(patched);
    ensure((opened !== undefined) === equal(patched, good), 'a changed token opened, or the good one did not');
    ensure(opened === undefined || opened.equals(ORIGINAL), 'it holds another connection id');
    return { direct, opened };
  },
};
