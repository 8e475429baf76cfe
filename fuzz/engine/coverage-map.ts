// The counters of instrumented code, and which of their states were seen before. Counts fall into eight
// classes, as in AFL: once, twice, 3, 4–7, 8–15, 16–31, 32–127, more; an input is new when it brings a counter
// into a class that it has not been in.

import { COUNTERS_GLOBAL } from './instrument.js';

/** More than everything instrumented takes (about 17 000); counters beyond it would be lost without a word, so it is checked. */
export const MAX_COUNTERS = 1 << 16;

/** Class bit of each count. Counts are modulo 256: one that is a multiple of it goes unseen. */
const CLASS = Uint8Array.from({ length: 256 }, (_, count) =>
  count === 0 ? 0 : count < 4 ? 1 << (count - 1) : count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128);

const counters = new Uint8Array(MAX_COUNTERS);
const words = new Uint32Array(counters.buffer);
Object.assign(globalThis, { [COUNTERS_GLOBAL]: counters });

/** A counter in a class: `counter << 3 | class number`. */
export type Feature = number;

export class CoverageMap {
  readonly #seen = new Uint8Array(MAX_COUNTERS);
  #edges = 0;

  /** Counters that were ever above zero. */
  get edges(): number {
    return this.#edges;
  }

  /** Before an input runs. */
  static reset(): void {
    counters.fill(0);
  }

  /** After an input ran: what it reached. */
  static features(): Feature[] {
    const features: Feature[] = [];
    scan((at, bit) => void features.push((at << 3) | (31 - Math.clz32(bit))));
    return features;
  }

  /** After an input ran: what nothing before it reached. Remembers it. */
  takeNew(): Feature[] {
    const fresh: Feature[] = [];
    scan((at, bit) => {
      const seen = this.#seen[at]!;
      if ((seen & bit) !== 0) return;
      if (seen === 0) this.#edges++;
      this.#seen[at] = seen | bit;
      fresh.push((at << 3) | (31 - Math.clz32(bit)));
    });
    return fresh;
  }
}

/** Nearly all counters are zero, so four are looked at a time. */
const scan = (visit: (at: number, bit: number) => void): void => {
  for (let word = 0; word < words.length; word++) {
    if (words[word] === 0) continue;
    for (let at = word * 4; at < word * 4 + 4; at++) if (counters[at] !== 0) visit(at, CLASS[counters[at]!]!);
  }
};
