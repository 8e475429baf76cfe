// How long to wait before the next dial: exponential with full jitter, so that a thousand clients
// of a relay that restarts do not come back in step. Owns the delays; when to wait is the link's.

/** Keeps every deadline strictly in the future, so that no driver spins. */
export const MIN_BACKOFF_MS = 1;

export interface BackoffInit {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds; the first delay is at most this. */
  readonly baseMs: number;
  /** Milliseconds; no delay is longer. */
  readonly capMs: number;
}

/** Delay n (from 0) is uniform in [1 ms, min(cap, base · 2ⁿ)], in whole milliseconds. */
export class Backoff {
  readonly #init: BackoffInit;
  #failures = 0;

  constructor(init: BackoffInit) {
    this.#init = init;
  }

  /** Delays handed out since the last reset. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds to wait after one more failure. */
  next(): number {
    const { random, baseMs, capMs } = this.#init;
    // 2 ** 1024 is Infinity, which the cap takes care of.
    const ceiling = Math.min(capMs, baseMs * 2 ** this.#failures);
    this.#failures += 1;
    return Math.max(MIN_BACKOFF_MS, Math.floor(random() * ceiling));
  }

  reset(): void {
    this.#failures = 0;
  }
}
