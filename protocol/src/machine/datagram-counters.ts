// Where every received datagram ended: forwarded, consumed, or dropped by reason. Owns the numbers
// and nothing else. Once a datagram is settled,
//
//   received = forwarded + consumed + sum(dropped)
//
// so whatever `received` is ahead by is waiting in a queue.

import { DROP_REASON_NAMES, type DropReason } from '../wire/drop-reasons.js';

/** A copy of the counters for metrics. All are totals since the start. */
export interface DatagramTotals {
  readonly received: number;
  readonly forwarded: number;
  readonly consumed: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

const INDEX = Object.fromEntries(
  DROP_REASON_NAMES.map((reason, index) => [reason, index]),
) as Readonly<Record<DropReason, number>>;

/** One per process. Counting adds in place: nothing is allocated. Exact to 2^53. */
export class DatagramCounters {
  readonly #totals = new Float64Array(3);
  readonly #dropped = new Float64Array(DROP_REASON_NAMES.length);

  get received(): number {
    return this.#totals[0]!;
  }

  get forwarded(): number {
    return this.#totals[1]!;
  }

  get consumed(): number {
    return this.#totals[2]!;
  }

  countReceived(): void {
    this.#totals[0]! += 1;
  }

  countForwarded(): void {
    this.#totals[1]! += 1;
  }

  countConsumed(): void {
    this.#totals[2]! += 1;
  }

  countDropped(reason: DropReason): void {
    this.#dropped[INDEX[reason]]! += 1;
  }

  dropped(reason: DropReason): number {
    return this.#dropped[INDEX[reason]]!;
  }

  /** Everything, every reason named even at zero. */
  totals(): DatagramTotals {
    const { received, forwarded, consumed } = this;
    const dropped = Object.fromEntries(DROP_REASON_NAMES.map((reason) => [reason, this.dropped(reason)]));
    return { received, forwarded, consumed, dropped: dropped as Record<DropReason, number> };
  }
}
