// Which of the peer's streams have been seen, so that the tail of a finished stream (a late RESET_STREAM)
// is not taken for a new one. Ids may show up out of order: opening one opens all below it (RFC 9000 §3.2).

const ID_STEP = 4;

export class PeerStreamIds {
  #next: number;
  /** Below `#next` and not seen yet. Each takes one of the streams the peer may have open, so they are bounded by that. */
  readonly #skipped = new Set<number>();

  /** @param first the peer's first bidirectional stream id */
  constructor(first: number) {
    this.#next = first;
  }

  isClaimed(id: number): boolean {
    return id < this.#next && !this.#skipped.has(id);
  }

  /** True the first time an id is seen. */
  claim(id: number): boolean {
    if (id < this.#next) return this.#skipped.delete(id);
    for (let skipped = this.#next; skipped < id; skipped += ID_STEP) this.#skipped.add(skipped);
    this.#next = id + ID_STEP;
    return true;
  }
}
