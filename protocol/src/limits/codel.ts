// CoDel (RFC 8289 §5): whether a flow's oldest datagram is dropped instead of sent, by how long datagrams
// have been waiting. Owns one flow's state and the control law; the flow's FIFO is fair-queue.ts's.

/**
 * Milliseconds of standing delay that are put up with: 5 % of the interval (RFC 8289 §3.2). Both are kept as
 * they are there: what fills these queues are inner QUIC connections across the Internet, and their
 * round trips, some 10 to 100 ms, are what the values were chosen for.
 */
export const CODEL_TARGET_MS = 5;
/** Milliseconds: a worst-case round trip, the time a sender needs to react to a drop (RFC 8289 §4.3). */
export const CODEL_INTERVAL_MS = 100;
/** A flow that begins to drop again within this many intervals takes up its drop rate where it left off (RFC 8289 §5.5). */
const RESUME_INTERVALS = 16;

/** Plain numbers, reset and used again. Doubles start as doubles, so that storing one never allocates. */
export class CodelState {
  /** From when on the delay will have been above target for a whole interval; Infinity while it is below. */
  #lateFrom = Infinity;
  #dropNextAt = Infinity;
  #isDropping = false;
  /** Drops since dropping began; the drop rate grows with its square root. */
  #count = 0;
  #lastCount = 0;

  reset(): void {
    this.#lateFrom = Infinity;
    this.#dropNextAt = Infinity;
    this.#isDropping = false;
    this.#count = 0;
    this.#lastCount = 0;
  }

  /**
   * Decides about the datagram at the flow's head. After `true` the caller drops it and asks about the next.
   * @param sojourn ms it has waited
   * @param isLast nothing worth a full datagram is behind it: dropping would leave the flow with nothing to send
   */
  shouldDrop(now: number, sojourn: number, isLast: boolean): boolean {
    const isLate = this.#isLate(now, sojourn, isLast);
    if (this.#isDropping) {
      if (!isLate) this.#isDropping = false;
      else if (now >= this.#dropNextAt) {
        this.#count++;
        this.#dropNextAt = nextDrop(this.#dropNextAt, this.#count);
        return true;
      }
      return false;
    }
    if (!isLate) return false;
    this.#isDropping = true;
    const since = this.#count - this.#lastCount;
    this.#count = since > 1 && now - this.#dropNextAt < RESUME_INTERVALS * CODEL_INTERVAL_MS ? since : 1;
    this.#lastCount = this.#count;
    this.#dropNextAt = nextDrop(now, this.#count);
    return true;
  }

  /** The flow ran empty: there is no standing queue. */
  handleEmpty(): void {
    this.#lateFrom = Infinity;
    this.#isDropping = false;
  }

  #isLate(now: number, sojourn: number, isLast: boolean): boolean {
    if (sojourn < CODEL_TARGET_MS || isLast) {
      this.#lateFrom = Infinity;
      return false;
    }
    if (this.#lateFrom === Infinity) this.#lateFrom = now + CODEL_INTERVAL_MS;
    return now >= this.#lateFrom;
  }
}

const nextDrop = (from: number, count: number): number => from + CODEL_INTERVAL_MS / Math.sqrt(count);
