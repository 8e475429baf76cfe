// The keys Retry tokens are sealed with, and when they change: random ones of this process, or ones that
// every relay of a fleet derives from the same file. What a token is belongs to retry-tokens.ts.

import { hkdfSync, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';

/**
 * The 2^32 random nonces GCM allows per key (NIST SP 800-38D §8.3) are 1.2 million Retry packets a second for an hour.
 * One process answers less than a tenth of that, so a fleet of ten keeps the bound together.
 */
export const RETRY_KEY_ROTATION_MS = 3_600_000;

const KEY_BYTES = 32;

export interface RetryKey {
  /** First byte of its tokens. */
  readonly id: number;
  readonly secret: Buffer;
}

export interface RetryKeys {
  /** Milliseconds of the clock that keys change by and tokens expire by. */
  readonly clock: () => number;
  /** How far ahead of `clock` a token of another relay may be, in ms. */
  readonly skewMs: number;
  /** What to seal with. `now` is a reading of `clock`, here and below. */
  current(now: number): RetryKey;
  /** What to open with: the current key, its neighbours in time where they may be in use, or nothing. */
  find(id: number, now: number): RetryKey | undefined;
}

/** Random, changed every hour, the previous one kept for opening. Tokens die with the process. */
export class RandomRetryKeys implements RetryKeys {
  readonly clock = (): number => performance.now();
  readonly skewMs = 0;
  readonly #randomBytes: (size: number) => Buffer;
  #current: RetryKey;
  #previous: RetryKey | undefined;
  #createdAt: number;

  constructor(now: number = performance.now(), random: (size: number) => Buffer = randomBytes) {
    this.#randomBytes = random;
    this.#current = { id: 0, secret: random(KEY_BYTES) };
    this.#createdAt = now;
  }

  current(now: number): RetryKey {
    if (now - this.#createdAt >= RETRY_KEY_ROTATION_MS) {
      this.#previous = this.#current;
      this.#current = { id: (this.#previous.id + 1) & 0xff, secret: this.#randomBytes(KEY_BYTES) };
      this.#createdAt = now;
    }
    return this.#current;
  }

  find(id: number, now: number): RetryKey | undefined {
    const current = this.current(now);
    return current.id === id ? current : this.#previous?.id === id ? this.#previous : undefined;
  }
}

/** Of relays that share a key file, as far as their clocks may differ: as for registration tokens. */
export const RETRY_CLOCK_SKEW_MS = 30_000;
/** The most a derived key stays in use on either side of its hour. */
const NEIGHBOURS = [0, -1, 1] as const;

/**
 * Keys of every relay that has the same file: the one for an hour of the wall clock is HKDF-SHA-256 (RFC 5869) of
 * the file's key and the hour's number. The hour before stays good, and so does the one after, which the token of a
 * relay whose clock is ahead may be of; the time in the token has the last word.
 */
export class SharedRetryKeys implements RetryKeys {
  readonly clock: () => number;
  readonly skewMs = RETRY_CLOCK_SKEW_MS;
  readonly #fileKey: Uint8Array;
  /** By hour: those in use and no other. */
  readonly #derived = new Map<number, RetryKey>();

  /** @param clock milliseconds since the Unix epoch */
  constructor(fileKey: Uint8Array, clock: () => number = Date.now) {
    this.#fileKey = fileKey;
    this.clock = clock;
  }

  current(now: number): RetryKey {
    return this.#of(Math.floor(now / RETRY_KEY_ROTATION_MS), now);
  }

  find(id: number, now: number): RetryKey | undefined {
    const hour = Math.floor(now / RETRY_KEY_ROTATION_MS);
    const offset = NEIGHBOURS.find((candidate) => ((hour + candidate) & 0xff) === id);
    return offset === undefined ? undefined : this.#of(hour + offset, now);
  }

  #of(hour: number, now: number): RetryKey {
    const known = this.#derived.get(hour);
    if (known) return known;
    for (const old of this.#derived.keys()) if (Math.abs(old - now / RETRY_KEY_ROTATION_MS) > 2) this.#derived.delete(old);
    const secret = Buffer.from(hkdfSync('sha256', this.#fileKey, Buffer.alloc(0), `ztna retry token ${hour}`, KEY_BYTES));
    const key = { id: hour & 0xff, secret };
    this.#derived.set(hour, key);
    return key;
  }
}
