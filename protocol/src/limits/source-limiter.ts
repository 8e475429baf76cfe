// What one source (source-key.ts) may do before it is anybody: handshakes a second and connections at
// a time. Owns the table of sources and its bound. Ask it once the address is validated by Retry: a
// spoofed address never gets that far, and so fills no table.
//
//   unknown ──admit──► idle (bucket refilling, in order of use) ──► forgotten once its bucket is full
//                        ▲ │ release of the last / admit
//                        │ ▼
//                      held (has connections: never forgotten)
//
// Refuse rather than forget: forgetting a source that isn't full would hand it a fresh burst, and a flood
// from many sources could make the table forget at will. A full bucket without connections carries no
// information, so forgetting it is free. While every entry carries some, new sources share one overflow
// entry: they may be refused, the known ones are not affected.

import type { SourceKey } from './source-key.js';
import { BucketRate, TokenBucket, type Rate } from './token-bucket.js';

export interface SourceLimits {
  /** Handshake attempts of one source. */
  readonly handshakes: Rate;
  /** Connections of one source at a time, unfinished handshakes included. */
  readonly connections: number;
  /** Sources remembered at a time. */
  readonly sources: number;
  /** Attempts of all sources together that found the table full. */
  readonly overflowHandshakes: Rate;
  /** Connections of all sources together that found the table full. */
  readonly overflowConnections: number;
}

export const DEFAULT_SOURCE_LIMITS: SourceLimits = {
  // 64 clients behind one NAT reconnect at once: 40 immediately, the other 24 within 1.2 s, before the first
  // retransmission of an Initial is over. One full handshake costs about 1 ms of CPU: 20/s is 2 % of a core.
  handshakes: { perSecond: 20, burst: 40 },
  // An office behind one address. At 41 KB a connection, 64 are 2.6 MB.
  connections: 64,
  // A bucket is full again after 40 / 20 = 2 s. Filling the table takes 65 536 / 2 s = 32 768 validated sources a
  // second, thirty times the handshakes a core can do. An entry takes 236 bytes (measured): 15 MB when full.
  sources: 65_536,
  // Ten sources' worth, for everyone the full table can't tell apart.
  overflowHandshakes: { perSecond: 200, burst: 400 },
  overflowConnections: 640,
};

/** How often each bound turned an attempt away, or for `sources` had it share one allowance. */
export type SourceLimitsReached = Record<keyof SourceLimits, number>;

/** Why a source was turned away; also the packet drop reason to count. */
export type SourceRefusal = 'source_handshake_rate' | 'source_connections';

/** Entries looked at per call at most: more than one a call, so the table shrinks, and few, so no call stalls the relay. */
const FORGET_PER_CALL = 4;

/** What is known of one source. The caller keeps it as the receipt for a connection and reads nothing from it. */
export class SourceEntry {
  /** Undefined for the overflow entry. */
  readonly key: SourceKey | undefined;
  readonly bucket: TokenBucket;
  connections = 0;
  /** Neighbours in the order of use while idle, itself while not. Only the limiter writes these. */
  older: SourceEntry = this;
  newer: SourceEntry = this;

  constructor(key: SourceKey | undefined, bucket: TokenBucket) {
    this.key = key;
    this.bucket = bucket;
  }
}

export class SourceLimiter {
  readonly limitsReached: SourceLimitsReached = { handshakes: 0, connections: 0, sources: 0, overflowHandshakes: 0, overflowConnections: 0 };
  readonly #rate: BucketRate;
  readonly #overflowRate: BucketRate;
  #limits: SourceLimits;
  #connections = 0;
  readonly #entries = new Map<SourceKey, SourceEntry>();
  /**
   * Shared by the sources that found the table full; and, as it is never idle itself, the two ends of the
   * ring of idle entries: `newer` is the one used longest ago. (An LRU cache would do as well, but lru-cache clears
   * its whole capacity when its last entry is deleted: measured 0.2 ms a call after one flood.)
   */
  readonly #overflow: SourceEntry;

  /** `now` is any reading of the clock passed to `admit`, in ms. */
  constructor(limits: SourceLimits, now: number) {
    this.#limits = limits;
    this.#rate = new BucketRate(limits.handshakes);
    this.#overflowRate = new BucketRate(limits.overflowHandshakes);
    this.#overflow = new SourceEntry(undefined, new TokenBucket(this.#overflowRate, now));
  }

  /**
   * Other limits from now on, for sources already known too. Whoever holds more connections than a lower limit
   * keeps them and gets no more; a table larger than a lower limit shrinks as its sources are forgotten.
   */
  setLimits(limits: SourceLimits): void {
    this.#limits = limits;
    this.#rate.change(limits.handshakes);
    this.#overflowRate.change(limits.overflowHandshakes);
  }

  /** Connections admitted and not released, of all sources. */
  get connections(): number {
    return this.#connections;
  }

  /** Sources in memory; at most `sources`. */
  get size(): number {
    return this.#entries.size;
  }

  /** Connections admitted and not released of sources that found the table full. */
  get overflowConnections(): number {
    return this.#overflow.connections;
  }

  /**
   * One handshake attempt. If it is granted, a connection is counted, and `release` of the returned entry
   * is the caller's duty when that connection is gone, however it went. A refused attempt leaves nothing behind.
   * Takes bounded time, whatever the number of sources.
   * @param now ms, monotonic
   */
  admit(key: SourceKey, now: number): SourceEntry | SourceRefusal {
    this.#forget(now);
    const entry = this.#entries.get(key) ?? this.#remember(key, now);
    if (entry.connections === 0) this.#setIdle(entry);
    if (!entry.bucket.take(now)) return this.#refuse('source_handshake_rate', entry);
    if (entry.connections >= this.#maxConnectionsOf(entry)) return this.#refuse('source_connections', entry);
    this.#connections++;
    if (entry.connections++ === 0) this.#setBusy(entry);
    return entry;
  }

  /** The connection that `admit` granted with this entry is gone. Once for each grant. */
  release(entry: SourceEntry): void {
    if (entry.connections === 0) throw new RangeError('a source was released more often than it was admitted');
    this.#connections--;
    if (--entry.connections === 0) this.#setIdle(entry);
  }

  #refuse(refusal: SourceRefusal, entry: SourceEntry): SourceRefusal {
    const isOverflow = entry === this.#overflow;
    if (refusal === 'source_handshake_rate') this.limitsReached[isOverflow ? 'overflowHandshakes' : 'handshakes']++;
    else this.limitsReached[isOverflow ? 'overflowConnections' : 'connections']++;
    return refusal;
  }

  #maxConnectionsOf(entry: SourceEntry): number {
    return entry === this.#overflow ? this.#limits.overflowConnections : this.#limits.connections;
  }

  /** A new entry, or the overflow entry if there is no room. */
  #remember(key: SourceKey, now: number): SourceEntry {
    if (this.size >= this.#limits.sources) {
      this.limitsReached.sources++;
      return this.#overflow;
    }
    const entry = new SourceEntry(key, new TokenBucket(this.#rate, now));
    this.#entries.set(key, entry);
    return entry;
  }

  /**
   * Forgets idle sources from the one used longest ago on, and stops at the first whose bucket isn't full. All
   * refill at one rate, so one that is full behind it was used later and is reached within `fillMs`. No scan.
   */
  #forget(now: number): void {
    for (let left = FORGET_PER_CALL; left > 0; left--) {
      const oldest = this.#overflow.newer;
      if (oldest === this.#overflow || !oldest.bucket.isFull(now)) return;
      this.#setBusy(oldest);
      this.#entries.delete(oldest.key!);
    }
  }

  /** Used just now and without connections: last to be forgotten. */
  #setIdle(entry: SourceEntry): void {
    if (entry === this.#overflow) return;
    this.#setBusy(entry);
    entry.older = this.#overflow.older;
    entry.newer = this.#overflow;
    entry.older.newer = entry;
    this.#overflow.older = entry;
  }

  /** Out of the ring; nothing happens if it isn't in. */
  #setBusy(entry: SourceEntry): void {
    if (entry === this.#overflow) return;
    entry.older.newer = entry.newer;
    entry.newer.older = entry.older;
    entry.older = entry;
    entry.newer = entry;
  }
}
