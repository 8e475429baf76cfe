// A histogram of times in Prometheus's sense: how many observations were at or below each bound. Owns the
// numbers; observing costs a short walk over the bounds and allocates nothing.

export class LatencyHistogram {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  /** Observations by the first bound that holds them; the last is beyond every bound. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** @param seconds a negative one counts as zero: two clocks were read */
  observe(seconds: number): void {
    const value = Math.max(0, seconds);
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index += 1;
    this.#counts[index]! += 1;
    this.#sum += value;
  }

  /** Of all observations, in seconds. */
  get sum(): number {
    return this.#sum;
  }

  get count(): number {
    return this.#counts.reduce((total, one) => total + one, 0);
  }

  /** One number per bound: the observations at or below it. */
  cumulative(): number[] {
    let total = 0;
    return this.bounds.map((_, index) => (total += this.#counts[index]!));
  }
}
