// Keeps one kind of event from filling a log: at most one line in an interval, which says how many it stands for.

/** Milliseconds. At most 8640 lines a day of each kind. */
export const EVENT_INTERVAL_MS = 10_000;

export class EventQuota {
  readonly #intervalMs: number;
  #nextAt = -Infinity;
  #suppressed = 0;

  constructor(intervalMs = EVENT_INTERVAL_MS) {
    this.#intervalMs = intervalMs;
  }

  /**
   * One event happened. Returns how many have since the last line, this one included, if there is to be a line now.
   * @param now ms, monotonic
   */
  take(now: number): number | undefined {
    this.#suppressed++;
    if (now < this.#nextAt) return undefined;
    const count = this.#suppressed;
    this.#nextAt = now + this.#intervalMs;
    this.#suppressed = 0;
    return count;
  }
}
