// Stateless Retry tokens (RFC 9000 §8.1.2): proof that a client receives at the address it claims,
// kept by the client and not by us. AES-256-GCM over time and original connection id, bound to the
// address and to the connection id we chose (associated data). The keys, and the clock, are retry-keys.ts's.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { MAX_CID_BYTES } from './long-header.js';
import type { RetryKey, RetryKeys } from './retry-keys.js';

/** One round trip, with room for a client that retransmits for a while. */
export const RETRY_TOKEN_TTL_MS = 60_000;

const IV_BYTES = 12;
const TAG_BYTES = 16;
const TIME_BYTES = 6;
const MIN_TOKEN_BYTES = 1 + IV_BYTES + TIME_BYTES + TAG_BYTES;
const MAX_TOKEN_BYTES = MIN_TOKEN_BYTES + MAX_CID_BYTES;

export class RetryTokens {
  readonly #randomBytes: (size: number) => Buffer;
  #keys: RetryKeys;
  /** Those before, and until when their tokens live, on their clock. */
  #replaced: { readonly keys: RetryKeys; readonly until: number } | undefined;

  constructor(keys: RetryKeys, random: (size: number) => Buffer = randomBytes) {
    this.#keys = keys;
    this.#randomBytes = random;
  }

  /** Seals with other keys from now on; tokens under way stay good. */
  setKeys(keys: RetryKeys): void {
    this.#replaced = { keys: this.#keys, until: this.#keys.clock() + RETRY_TOKEN_TTL_MS };
    this.#keys = keys;
  }

  mint(host: string, port: number, originalDcid: Uint8Array, retryScid: Uint8Array): Buffer {
    const now = this.#keys.clock();
    const key = this.#keys.current(now);
    const iv = this.#randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key.secret, iv);
    cipher.setAAD(binding(host, port, retryScid));
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(Math.floor(now), 0, TIME_BYTES);
    const sealed = Buffer.concat([cipher.update(time), cipher.update(originalDcid), cipher.final()]);
    return Buffer.concat([Buffer.of(key.id), iv, sealed, cipher.getAuthTag()]);
  }

  /** The original destination connection id, or undefined for a token that is forged, expired or someone else's. */
  open(token: Uint8Array, host: string, port: number, retryScid: Uint8Array): Buffer | undefined {
    // The largest holds an original id of 20 bytes; a longer one would only cost time.
    if (token.length < MIN_TOKEN_BYTES || token.length > MAX_TOKEN_BYTES) return undefined;
    const bound = binding(host, port, retryScid);
    const opened = openWith(this.#keys, token, bound);
    if (opened || !this.#replaced) return opened;
    const { keys, until } = this.#replaced;
    if (keys.clock() <= until) return openWith(keys, token, bound);
    this.#replaced = undefined;
    return undefined;
  }
}

const openWith = (keys: RetryKeys, token: Uint8Array, bound: Buffer): Buffer | undefined => {
  const now = keys.clock();
  const key = keys.find(token[0]!, now);
  const plain = key && unseal(key, token, bound);
  if (!plain) return undefined;
  const age = now - plain.readUIntBE(0, TIME_BYTES);
  return age >= -keys.skewMs && age <= RETRY_TOKEN_TTL_MS ? plain.subarray(TIME_BYTES) : undefined;
};

const unseal = ({ secret }: RetryKey, token: Uint8Array, bound: Buffer): Buffer | undefined => {
  const decipher = createDecipheriv('aes-256-gcm', secret, token.subarray(1, 1 + IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(bound);
  decipher.setAuthTag(token.subarray(token.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(token.subarray(1 + IV_BYTES, token.length - TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
};

const binding = (host: string, port: number, retryScid: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${host} ${port} `), retryScid]);
