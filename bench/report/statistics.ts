// Of samples, what is reported: medians between rounds, percentiles within one.

/** The middle one, or the mean of the two in the middle; NaN of none. */
export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/**
 * The smallest sample that at least `percent` of all samples do not exceed (nearest rank); NaN of none.
 *
 * @param percent above 0, up to 100
 */
export const percentile = (values: readonly number[], percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
};

/** Figures of several rounds by name, and their medians. */
export class Rounds {
  readonly #values = new Map<string, number[]>();

  add(figures: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(figures)) {
      const values = this.#values.get(name);
      if (values) values.push(value);
      else this.#values.set(name, [value]);
    }
  }

  /** In the order in which names first came. */
  medians(): readonly (readonly [name: string, value: number])[] {
    return [...this.#values].map(([name, values]) => [name, median(values)] as const);
  }
}
