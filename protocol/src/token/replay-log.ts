// Remembers the nonces of accepted tokens until those tokens are expired, so that each is accepted
// once. Owns memory bounds and forgetting; it lives beside the keyring, per key id, so that a
// keyring reload forgets nothing. Time is the relay's wall clock, passed in.

import { LRUCache } from 'lru-cache';

/**
 * Live entries per key. One lives at most 120 s (`MAX_TOKEN_LIFE_MS`), so 65 536 of them sustain
 * 65 536 / 120 s = 546 registrations a second with one key, or a pool of 65 536 clients coming back at
 * once after an outage. An entry takes 87 bytes (measured): a full log is 5.7 MB, and grows only as used.
 */
export const MAX_NONCES_PER_KEY = 65_536;

/** Entries forgotten per call at most: more than one a call, so a log shrinks, and few, so no call stalls the relay. */
const FORGET_PER_CALL = 32;

/**
 * - `claimed`: first use, now remembered.
 * - `replayed`: used before.
 * - `full`: every entry is live, and none may be forgotten; passes within 120 s.
 * - `clock_moved_back`: a token of that expiry may have been used and forgotten, before the clock was set back.
 */
export type ClaimOutcome = 'claimed' | 'replayed' | 'full' | 'clock_moved_back';

export interface ReplayLogOptions {
  /** Default `MAX_NONCES_PER_KEY`. */
  readonly maxNoncesPerKey?: number;
}

/** Nonce → when its token expires, in order of use. Never evicts: `claim` refuses first. */
type NonceLog = LRUCache<string, number>;

/** Single-use nonces, per key id. */
export class ReplayLog {
  readonly #maxNonces: number;
  /** By key id; the key claimed longest ago comes first. */
  readonly #logs = new Map<string, NonceLog>();
  /**
   * The latest expiry among forgotten nonces. While the clock runs forward every token still live expires
   * later than this. A clock set back would bring forgotten ones back to life; this keeps them out, and
   * locks nobody out for longer than a token lives, however far the clock had jumped.
   */
  #forgottenThrough = -Infinity;

  constructor({ maxNoncesPerKey = MAX_NONCES_PER_KEY }: ReplayLogOptions = {}) {
    this.#maxNonces = maxNoncesPerKey;
  }

  /** Nonces in memory, over all keys; an expired one counts until it is forgotten. */
  get size(): number {
    let size = 0;
    for (const log of this.#logs.values()) size += log.size;
    return size;
  }

  /**
   * Uses up a nonce. Takes bounded time, whatever the number of keys and nonces.
   * @param expiresAt `tokenExpiresAt(claims)`; the caller has refused tokens at or past it, and those
   *   that expire later than `now + MAX_TOKEN_LIFE_MS`.
   * @param now milliseconds since the Unix epoch
   */
  claim(keyId: string, nonce: Uint8Array, expiresAt: number, now: number): ClaimOutcome {
    this.#forgetIdleKey(now);
    const log = this.#touch(keyId);
    this.#forget(log, now);
    const entry = Buffer.from(nonce).toString('latin1');
    if (log.has(entry)) return 'replayed';
    if (expiresAt <= this.#forgottenThrough) return 'clock_moved_back';
    if (log.size >= this.#maxNonces) return 'full';
    log.set(entry, expiresAt);
    return 'claimed';
  }

  /** The key's log, moved to the end of the order. */
  #touch(keyId: string): NonceLog {
    // maxSize, not max: with max, lru-cache allocates all 65 536 slots (1.4 MB) for each key at once.
    const log = this.#logs.get(keyId) ?? new LRUCache<string, number>({ maxSize: this.#maxNonces, sizeCalculation: () => 1 });
    this.#logs.delete(keyId);
    this.#logs.set(keyId, log);
    return log;
  }

  /**
   * Forgets expired nonces from the oldest on, and stops at the first live one. Nonces expire roughly
   * in the order they come: one that outlives its successors delays them, but as it came before them,
   * it is gone within 120 s of its own arrival and so of theirs. No scan is needed to hold the bound.
   */
  #forget(log: NonceLog, now: number): void {
    for (let left = FORGET_PER_CALL; left > 0; left--) {
      const oldest = log.rkeys().next();
      if (oldest.done) return;
      const expiresAt = log.peek(oldest.value)!;
      if (expiresAt > now) return;
      log.delete(oldest.value);
      this.#forgottenThrough = Math.max(this.#forgottenThrough, expiresAt);
    }
  }

  /** Looks at the key claimed longest ago and drops it once it is empty: a claim adds one key at most, so one look keeps up. */
  #forgetIdleKey(now: number): void {
    for (const [keyId, log] of this.#logs) {
      this.#forget(log, now);
      if (log.size === 0) this.#logs.delete(keyId);
      return;
    }
  }
}
