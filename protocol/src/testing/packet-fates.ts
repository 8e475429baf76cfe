// What becomes of each packet of a bad network: lost, sent twice, overtaken. A packet's fate depends on the
// seed and on how many came before it alone. Delays and delivery are the network's.

import { seededRandom } from './seeded-random.js';

/** Probabilities, 0 to 1. Default 0. */
export interface PacketChances {
  readonly loss?: number;
  readonly duplication?: number;
  /** Of a packet being overtaken by those sent shortly after it. */
  readonly reordering?: number;
}

export interface PacketFate {
  readonly isLost: boolean;
  readonly isTwice: boolean;
  readonly isLate: boolean;
}

export class PacketFates {
  readonly #random: () => number;
  readonly #chances: Required<PacketChances>;

  constructor(seed: number, { loss = 0, duplication = 0, reordering = 0 }: PacketChances) {
    this.#random = seededRandom(seed);
    this.#chances = { loss, duplication, reordering };
  }

  next(): PacketFate {
    const { loss, duplication, reordering } = this.#chances;
    // All three are drawn for every packet, so that one packet's fate does not shift the next one's.
    const [isLost, isTwice, isLate] = [this.#random() < loss, this.#random() < duplication, this.#random() < reordering];
    return { isLost, isTwice, isLate };
  }
}
