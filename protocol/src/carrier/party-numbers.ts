// Small integers for the parties that share a queue, by name, for as long as each has something open. Owns the
// numbering only.

interface Party {
  readonly number: number;
  holds: number;
}

export class PartyNumbers {
  readonly #parties = new Map<string, Party>();
  #next = 0;

  /** The party's number, held once more. */
  hold(name: string): number {
    const party = this.#parties.get(name) ?? { number: this.#next++, holds: 0 };
    party.holds += 1;
    this.#parties.set(name, party);
    return party.number;
  }

  /** One hold less; the last one forgets the party, and its number is not used again. */
  release(name: string): void {
    const party = this.#parties.get(name);
    if (party && --party.holds === 0) this.#parties.delete(name);
  }
}
