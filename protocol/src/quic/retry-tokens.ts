// Stateless Retry tokens (RFC 9000 §8.1.2): proof that a client receives at the address it claims,
// kept by the client and not by us. AES-256-GCM over time and original connection id, bound to the
// address and to the connection id we chose (associated data). Keys rotate; the previous one stays good.

import { createCipheriv, createDecipheriv } from 'node:crypto';

/** One round trip, with room for a client that retransmits for a while. */
export const RETRY_TOKEN_TTL_MS = 60_000;
/** At one Retry per microsecond an hour stays below the 2^32 random nonces GCM allows per key (NIST SP 800-38D §8.3). */
export const RETRY_KEY_ROTATION_MS = 3_600_000;

const IV_BYTES = 12;
const TAG_BYTES = 16;
const TIME_BYTES = 6;
const MIN_TOKEN_BYTES = 1 + IV_BYTES + TIME_BYTES + TAG_BYTES;

interface RetryKey {
  readonly id: number;
  readonly secret: Buffer;
  readonly createdAt: number;
}

export class RetryTokens {
  readonly #randomBytes: (size: number) => Buffer;
  #current: RetryKey;
  #previous: RetryKey | undefined;

  constructor(randomBytes: (size: number) => Buffer, now: number) {
    this.#randomBytes = randomBytes;
    this.#current = { id: 0, secret: randomBytes(32), createdAt: now };
  }

  /** `now` in ms of any monotonic clock, the same for `mint` and `open`. */
  mint(host: string, port: number, originalDcid: Uint8Array, retryScid: Uint8Array, now: number): Buffer {
    this.#rotate(now);
    const iv = this.#randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#current.secret, iv);
    cipher.setAAD(binding(host, port, retryScid));
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(Math.floor(now), 0, TIME_BYTES);
    const sealed = Buffer.concat([cipher.update(time), cipher.update(originalDcid), cipher.final()]);
    return Buffer.concat([Buffer.of(this.#current.id), iv, sealed, cipher.getAuthTag()]);
  }

  /** The original destination connection id, or undefined for a token that is forged, expired or someone else's. */
  open(token: Uint8Array, host: string, port: number, retryScid: Uint8Array, now: number): Buffer | undefined {
    if (token.length < MIN_TOKEN_BYTES) return undefined;
    this.#rotate(now);
    const key = [this.#current, this.#previous].find((candidate) => candidate?.id === token[0]);
    if (!key) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key.secret, token.subarray(1, 1 + IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(binding(host, port, retryScid));
    decipher.setAuthTag(token.subarray(token.length - TAG_BYTES));
    let plain: Buffer;
    try {
      plain = Buffer.concat([decipher.update(token.subarray(1 + IV_BYTES, token.length - TAG_BYTES)), decipher.final()]);
    } catch {
      return undefined;
    }
    const age = now - plain.readUIntBE(0, TIME_BYTES);
    return age >= -1 && age <= RETRY_TOKEN_TTL_MS ? plain.subarray(TIME_BYTES) : undefined;
  }

  #rotate(now: number): void {
    if (now - this.#current.createdAt < RETRY_KEY_ROTATION_MS) return;
    this.#previous = this.#current;
    this.#current = { id: (this.#previous.id + 1) & 0xff, secret: this.#randomBytes(32), createdAt: now };
  }
}

const binding = (host: string, port: number, retryScid: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${host} ${port} `), retryScid]);
