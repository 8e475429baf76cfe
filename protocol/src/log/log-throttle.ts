// How many lines may be written that others can cause: whoever can make this process complain, or report, must not
// fill its disk with that. Owns the rates and what is kept of the lines left out; which lines are asked about is logger.ts.
//
//   line ─► bucket of its (event, code, identity) ─► bucket of all together ───────────────────► written
//                         │                                └─ empty ─► bucket of its event ──────► written
//                         └───────────────── no ────────────────────────────┴──► counted by event, and told every 10 s

import { LRUCache } from 'lru-cache';
import { BucketRate, TokenBucket, type Rate } from '../limits/token-bucket.js';

export interface LineRates {
  /** Of one event, code and identity. */
  readonly same: Rate;
  /** Of everything. */
  readonly all: Rate;
}

export const WARNING_RATES: LineRates = {
  // A person needs one line to know, and a few to see a pattern.
  same: { perSecond: 1, burst: 20 },
  // At 300 bytes a line 100/s are 2.6 GB a day, what a log pipeline still takes.
  all: { perSecond: 100, burst: 500 },
};

/** A budget of their own: who comes and goes a thousand times a second must not silence warnings with that. */
export const INFO_RATES: LineRates = {
  // An agent that restarts, or opens the services of a page at once, is in the log with every step.
  same: { perSecond: 5, burst: 100 },
  // As above; a crowd of 1000 clients that returns at once is two lines each.
  all: { perSecond: 100, burst: 2000 },
};

/** Of one event when all together have used up their rate: a flood of one kind keeps no other out of the log. There are some fifty events. */
export const EVENT_RESERVE: Rate = { perSecond: 1, burst: 20 };
/** Kinds of lines remembered, about 200 bytes each: 800 KiB. Who makes more kinds still has the rate of all. */
export const MAX_LINE_KINDS = 4096;
/** How often lines left out are told. */
export const SUPPRESSION_REPORT_MS = 10_000;

const RESERVE = new BucketRate(EVENT_RESERVE);

export class LogThrottle {
  readonly #same: BucketRate;
  readonly #kinds = new LRUCache<string, TokenBucket>({ max: MAX_LINE_KINDS });
  readonly #all: TokenBucket;
  readonly #reserves = new Map<string, TokenBucket>();
  #suppressed = new Map<string, number>();

  /** @param now any reading of the clock passed to `admits`, ms */
  constructor(now: number, { same, all }: LineRates = WARNING_RATES) {
    this.#same = new BucketRate(same);
    this.#all = new TokenBucket(new BucketRate(all), now);
  }

  /**
   * Whether this line is to be written; if not, it is counted.
   *
   * @param event one of the names in the code, so that there are few to count
   */
  admits(event: string, code: unknown, identity: unknown, now: number): boolean {
    const kind = `${event} ${String(code)} ${String(identity)}`;
    let bucket = this.#kinds.get(kind);
    if (!bucket) this.#kinds.set(kind, (bucket = new TokenBucket(this.#same, now)));
    if (bucket.take(now) && (this.#all.take(now) || this.#reserveOf(event, now).take(now))) return true;
    this.#suppressed.set(event, (this.#suppressed.get(event) ?? 0) + 1);
    return false;
  }

  /** Lines left out since the last call, by event. */
  takeSuppressed(): ReadonlyMap<string, number> {
    const suppressed = this.#suppressed;
    this.#suppressed = new Map();
    return suppressed;
  }

  #reserveOf(event: string, now: number): TokenBucket {
    let reserve = this.#reserves.get(event);
    if (!reserve) this.#reserves.set(event, (reserve = new TokenBucket(RESERVE, now)));
    return reserve;
  }
}
