// What all queues together may hold: the datagram memory, the flow records, and whom to take from when
// it runs out. One per process; every fair-queue.ts is made with it. Owns the global bound only.

import { DATAGRAM_SLOT_BYTES, DatagramPool } from './datagram-pool.js';
import { FattestList, type FattestLink } from './fattest-list.js';
import { FlowTable } from './flow-table.js';

export interface QueueBudgetLimits {
  /** Bytes of datagram slots. A datagram costs its slot of 1536 bytes, so this is memory, not payload. */
  readonly bytes: number;
  /** Flows with datagrams waiting, over all queues. */
  readonly flows: number;
  /** The part of `bytes` from which on new sessions are to be refused, 0–1. */
  readonly strainedFrom: number;
}

export const DEFAULT_QUEUE_BUDGET: QueueBudgetLimits = {
  // 174 762 datagrams. A full queue of 4 MiB is 3236 datagrams of 1296 bytes, 4.7 MiB of slots: 54 peers that don't read.
  bytes: 256 * 1024 * 1024,
  // Two ends of each of 65 536 sessions. A record is about 400 bytes: 52 MB if every one had something waiting.
  flows: 131_072,
  // A quarter left for the sessions that exist.
  strainedFrom: 0.75,
};

/** Datagrams dropped for each bound: `datagrams` and `bytes` of their queue, `total` and `flows` of all together. */
export interface QueueLimitsReached {
  datagrams: number;
  bytes: number;
  total: number;
  flows: number;
}

/** A queue as the budget sees it. */
export interface BudgetedQueue {
  /** Drops the oldest datagram of its fattest flow, counted as `queue_budget`. */
  shed(): void;
}

export class QueueBudget {
  readonly pool: DatagramPool;
  readonly flows: FlowTable;
  readonly limitsReached: QueueLimitsReached = { datagrams: 0, bytes: 0, total: 0, flows: 0 };
  readonly #queues = new FattestList<BudgetedQueue>();
  readonly #strainedFrom: number;
  #nextId = 0;

  constructor({ bytes, flows, strainedFrom }: QueueBudgetLimits = DEFAULT_QUEUE_BUDGET) {
    this.pool = new DatagramPool(bytes);
    this.flows = new FlowTable(flows);
    this.#strainedFrom = this.pool.capacity * strainedFrom;
  }

  /** Bytes in use, a slot for each datagram. */
  get bytes(): number {
    return this.pool.used * DATAGRAM_SLOT_BYTES;
  }

  /** Refuse new sessions (`too_many_sessions`): what is left is for those that exist. */
  get isStrained(): boolean {
    return this.pool.used >= this.#strainedFrom;
  }

  /** A number for a new queue. */
  nextId(): number {
    return this.#nextId++;
  }

  /** Makes room for one datagram: if there is none, the queue that holds most sheds its oldest, whoever is asking. */
  makeRoom(): void {
    if (!this.pool.isFull) return;
    this.limitsReached.total++;
    this.#queues.fattest()!.shed();
  }

  /** A queue now holds so many datagrams. */
  weigh(link: FattestLink<BudgetedQueue>, datagrams: number): void {
    if (datagrams === 0) this.#queues.remove(link);
    else this.#queues.place(link, datagrams * DATAGRAM_SLOT_BYTES);
  }
}
