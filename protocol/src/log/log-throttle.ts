// How many warnings and errors may be written: whoever can make this process complain must not fill its disk
// with that. Owns the rates and what is kept of the lines left out; which lines are asked about is logger.ts.
//
//   line ─► bucket of its (event, code, identity) ─► bucket of all together ─► written
//                         └──────────── no ────────────────┴──► counted by event, and told every 10 s

import { LRUCache } from 'lru-cache';
import { BucketRate, TokenBucket } from '../limits/token-bucket.js';

/** Of one event, code and identity: a person needs one line to know, and a few to see a pattern. */
const SAME_LINE = new BucketRate({ perSecond: 1, burst: 20 });
/** Of everything: at 300 bytes a line 100/s are 2.6 GB a day, what a log pipeline still takes. */
const ALL_LINES = new BucketRate({ perSecond: 100, burst: 500 });
/** Kinds of lines remembered, about 200 bytes each: 800 KiB. Who makes more kinds still has the rate of all. */
const MAX_KINDS = 4096;
/** How often lines left out are told. */
export const SUPPRESSION_REPORT_MS = 10_000;

export class LogThrottle {
  readonly #kinds = new LRUCache<string, TokenBucket>({ max: MAX_KINDS });
  readonly #all: TokenBucket;
  #suppressed = new Map<string, number>();

  /** @param now any reading of the clock passed to `admits`, ms */
  constructor(now: number) {
    this.#all = new TokenBucket(ALL_LINES, now);
  }

  /**
   * Whether this line is to be written; if not, it is counted.
   *
   * @param event one of the names in the code, so that there are few to count
   */
  admits(event: string, code: unknown, identity: unknown, now: number): boolean {
    const kind = `${event} ${String(code)} ${String(identity)}`;
    let bucket = this.#kinds.get(kind);
    if (!bucket) this.#kinds.set(kind, (bucket = new TokenBucket(SAME_LINE, now)));
    if (bucket.take(now) && this.#all.take(now)) return true;
    this.#suppressed.set(event, (this.#suppressed.get(event) ?? 0) + 1);
    return false;
  }

  /** Lines left out since the last call, by event. */
  takeSuppressed(): ReadonlyMap<string, number> {
    const suppressed = this.#suppressed;
    this.#suppressed = new Map();
    return suppressed;
  }
}
