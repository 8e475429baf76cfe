// Time for machine tests: it passes only when told to.

/** 2026-01-01T00:00:00Z, where every virtual wall clock starts. */
export const VIRTUAL_EPOCH_MS = Date.UTC(2026, 0, 1);

export class VirtualClock {
  #now: number;

  /** @param start monotonic milliseconds; not zero, so that a forgotten offset shows */
  constructor(start = 1_000) {
    this.#now = start;
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** Milliseconds since the Unix epoch; bound, so that it can be handed on as a function. */
  readonly wallClock = (): number => VIRTUAL_EPOCH_MS + this.#now;

  /** @returns the new time */
  advance(ms: number): number {
    return this.advanceTo(this.#now + ms);
  }

  /** @throws RangeError when that is in the past */
  advanceTo(now: number): number {
    if (!(now >= this.#now)) throw new RangeError(`time can't go back from ${this.#now} to ${now}`);
    this.#now = now;
    return now;
  }
}
