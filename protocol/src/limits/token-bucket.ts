// A token bucket: a rate and a burst, for whatever is counted. Owns the arithmetic only: no timer, no
// clock, and nothing allocated after construction. Time is milliseconds of a monotonic clock, passed in.

export interface Rate {
  /** Tokens a second, at least 0. */
  readonly perSecond: number;
  /** Tokens a full bucket holds, at least 1. */
  readonly burst: number;
}

/** A `Rate` worked out once and shared by all buckets that keep it, so that a bucket is two numbers and a reference. */
export class BucketRate implements Rate {
  perSecond = 0;
  burst = 0;
  perMs = 0;
  /**
   * A bucket may be short by this much. Summed doubles fall short of the exact amount in the last digits,
   * and a caller who waited exactly long enough must not be refused for that. It is what one microsecond
   * refills, at most a thousandth of the burst; the shortage stays on the books, so no rate is exceeded.
   */
  slack = 0;

  /** @throws RangeError as `change` */
  constructor(rate: Rate) {
    this.change(rate);
  }

  /**
   * Another rate for every bucket that keeps this one; what they hold stays, cut to the new burst when next asked.
   * @throws RangeError for a rate below 0, a burst below 1, or one that is not finite
   */
  change({ perSecond, burst }: Rate): void {
    if (!(perSecond >= 0 && perSecond < Infinity)) throw new RangeError(`a rate is a finite number of at least 0, not ${perSecond}`);
    if (!(burst >= 1 && burst < Infinity)) throw new RangeError(`a burst is a finite number of at least 1, not ${burst}`);
    this.perSecond = perSecond;
    this.burst = burst;
    this.perMs = perSecond / 1000;
    this.slack = Math.min(this.perMs / 1000, burst / 1000);
  }

  /** Milliseconds in which an empty bucket is full again; Infinity if it never is. */
  get fillMs(): number {
    return this.burst / this.perMs;
  }
}

/**
 * Full at first. However often it is asked, over any span of t ms it grants at most
 * `burst + t · perSecond / 1000` (+ slack).
 *
 * The clock should not jump; if it does, neither side profits. Backwards: the span counts as no time
 * at all, and refilling goes on from the new reading. Forwards, however far: the bucket is full, no more.
 */
export class TokenBucket {
  #rate: BucketRate;
  #tokens: number;
  #at: number;

  constructor(rate: BucketRate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  get rate(): BucketRate {
    return this.#rate;
  }

  /** Another rate from `now` on. What it holds is kept as far as it fits: changing the rate refills nothing. */
  setRate(rate: BucketRate, now: number): void {
    this.#tokens = Math.min(this.available(now), rate.burst);
    this.#at = now;
    this.#rate = rate;
  }

  /** Takes `cost` tokens, or none and returns false. `cost` above the burst is never granted. */
  take(now: number, cost = 1): boolean {
    const rate = this.#rate;
    const elapsed = now - this.#at;
    // A reading that is no number passes neither test and leaves the bucket as it was.
    if (elapsed > 0) {
      const tokens = this.#tokens + elapsed * rate.perMs;
      this.#tokens = tokens < rate.burst ? tokens : rate.burst;
      this.#at = now;
    } else if (elapsed < 0) {
      this.#at = now;
    }
    if (cost > this.#tokens + rate.slack) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Tokens it holds at `now`; below zero by at most the slack. Changes nothing. */
  available(now: number): number {
    const elapsed = now - this.#at;
    return elapsed > 0 ? Math.min(this.#rate.burst, this.#tokens + elapsed * this.#rate.perMs) : this.#tokens;
  }

  /**
   * Whole milliseconds until `take(now + wait, cost)` succeeds if nothing is taken meanwhile: 0 if it
   * would now, Infinity if it never will. Changes nothing.
   */
  untilAvailable(now: number, cost = 1): number {
    const { burst, perMs, slack } = this.#rate;
    const missing = cost - this.available(now) - slack;
    if (missing <= 0) return 0;
    return cost > burst + slack ? Infinity : Math.ceil(missing / perMs);
  }

  /** A full bucket is as good as a new one: whoever holds it may forget it. */
  isFull(now: number): boolean {
    return this.available(now) >= this.#rate.burst;
  }
}
