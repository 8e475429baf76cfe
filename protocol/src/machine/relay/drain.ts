// Whether the relay is shutting down, and until when. Owns those two facts; who is told, and when
// the last connection is closed, is the machine's.

export class Drain {
  #deadline: number | undefined;
  finished = false;

  get active(): boolean {
    return this.#deadline !== undefined;
  }

  /** In the caller's milliseconds, while there is something left to wait for. */
  get deadline(): number | undefined {
    return this.finished ? undefined : this.#deadline;
  }

  /** A drain can be brought forward but not put off. @returns whether this changed anything */
  start(deadline: number): boolean {
    if (this.#deadline !== undefined && this.#deadline <= deadline) return false;
    this.#deadline = deadline;
    return true;
  }

  /** Milliseconds left, never negative; 0 when there is no drain. */
  remainingMs(now: number): number {
    return this.#deadline === undefined ? 0 : Math.max(0, Math.round(this.#deadline - now));
  }
}
