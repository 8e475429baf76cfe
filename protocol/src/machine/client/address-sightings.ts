// At how many addresses a relay has seen one connection of this client. QUIC keeps a path for each and lets none go, so
// after seven changes the relay hears no more (docs/limits.md, "Address changes"). Owns the count; what follows is link-set.ts's.

import type { ObservedAddress } from '../../wire/control-messages.js';

export class AddressSightings {
  readonly #max: number;
  readonly #seen = new Set<string>();

  /** @param maxChanges addresses beside the first from which on the connection is worn */
  constructor(maxChanges: number) {
    this.#max = maxChanges;
  }

  /** Notes what the relay says; true when the connection is worn by it, for the first time. An address of before costs nothing. */
  add({ host, port }: ObservedAddress): boolean {
    const before = this.#seen.size;
    if (before > this.#max) return false;
    this.#seen.add(`${host} ${port}`);
    return this.#seen.size > this.#max && this.#seen.size > before;
  }

  /** The connection is gone. */
  clear(): void {
    this.#seen.clear();
  }
}
