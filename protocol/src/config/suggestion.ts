// "Did you mean": the nearest of a few known names, for a mistyped key.

/** Further than two edits apart, a suggestion is a guess. */
const MAX_EDITS = 2;
/** Keys are short; a long one is no typing error, and the work below is the product of two lengths. */
const MAX_LENGTH = 64;

/** The candidate at most two edits away, and those at most half its length, or undefined. Ties: the first. */
export const suggestName = (typed: string, candidates: readonly string[]): string | undefined => {
  if (typed.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  let bestEdits = MAX_EDITS + 1;
  for (const candidate of candidates) {
    const edits = countEdits(typed.toLowerCase(), candidate.toLowerCase());
    if (edits < bestEdits && edits * 2 <= candidate.length) [best, bestEdits] = [candidate, edits];
  }
  return best;
};

/** Levenshtein distance: insertions, deletions and replacements that turn `from` into `to`. */
const countEdits = (from: string, to: string): number => {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replace = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replace, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
};
