// The queue in front of one peer connection, fair between the sessions that share it: FQ-CoDel (RFC 8290)
// with sessions in place of hashed five-tuples. Owns order, bounds and drops; memory is datagram-pool.ts's,
// the bound over all queues queue-budget.ts's, the delay law codel.ts's.
//
//   enqueue ─► flow of the session's slot ─► new flows ──turn over──► old flows ─┐ ─► dequeue ─► CoDel ─► peer
//               over a bound: the fattest flow loses its oldest        ▲─────────┘
//
// Bypass: while the queue is empty and the connection takes the datagram at once, don't come here.
// Every datagram that went in comes out of `dequeue` or is counted by its reason.

import type { DropReason } from '../wire/drop-reasons.js';
import { DATAGRAM_SLOT_BYTES, NO_NODE, type DatagramPool } from './datagram-pool.js';
import { FattestLink, FattestList } from './fattest-list.js';
import { FlowList, type Flow, type FlowOwner, type FlowTable } from './flow-table.js';
import type { BudgetedQueue, QueueBudget } from './queue-budget.js';

/** Bytes a flow sends a turn: one full relayed datagram (1296), so that every turn sends (RFC 8290 §5.2.4). */
export const QUANTUM_BYTES = 1300;
/**
 * The least a datagram counts in a turn. Forwarding one takes 5 µs and more whatever its size; counted by bytes
 * alone, a flood of 16-byte datagrams would be sent 81 to each full one of its neighbour. So it is 4 to one.
 */
export const MIN_DATAGRAM_COST_BYTES = 325;

export interface FairQueueLimits {
  readonly datagrams: number;
  readonly bytes: number;
}

export const DEFAULT_FAIR_QUEUE_LIMITS: FairQueueLimits = {
  // At 10 000 datagrams/s 0.4 s, more than CoDel lets stand; a bound on memory, not the delay to aim for.
  datagrams: 4096,
  // 3236 datagrams of 1296 bytes; at 100 Mbit/s 0.34 s.
  bytes: 4 * 1024 * 1024,
};

/** Where drops are counted; `DatagramCounters` is one. */
export interface DropCounter {
  countDropped(reason: DropReason): void;
}

export interface FairQueueComponents {
  readonly budget: QueueBudget;
  readonly drops: DropCounter;
}

/** One per peer connection. Until its first datagram it is one small object. All times in ms, monotonic. */
export class FairQueue implements FlowOwner, BudgetedQueue {
  readonly id: number;
  readonly #budget: QueueBudget;
  readonly #pool: DatagramPool;
  readonly #table: FlowTable;
  readonly #drops: DropCounter;
  #limits: FairQueueLimits;
  /** Bytes a datagram weighs beside its own when the fattest flow is sought: each bound counts for half. */
  #datagramWeight: number;
  readonly #newFlows = new FlowList();
  readonly #oldFlows = new FlowList();
  readonly #fat = new FattestList<Flow>();
  readonly #link: FattestLink<BudgetedQueue> = new FattestLink<BudgetedQueue>(this);
  #datagrams = 0;
  #bytes = 0;

  constructor({ budget, drops }: FairQueueComponents, limits: FairQueueLimits = DEFAULT_FAIR_QUEUE_LIMITS) {
    this.#budget = budget;
    this.#pool = budget.pool;
    this.#table = budget.flows;
    this.#drops = drops;
    this.#limits = limits;
    this.#datagramWeight = weightOf(limits);
    this.id = budget.nextId();
  }

  get isEmpty(): boolean {
    return this.#datagrams === 0;
  }

  /** Datagrams waiting. */
  get datagrams(): number {
    return this.#datagrams;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Copies a datagram in, behind those of the same session. What has to go for it is counted: the oldest of
   * this peer's fattest session (`peer_queue_full`), the oldest of the fattest peer (`queue_budget`), or itself
   * (`too_large`; `queue_budget` when there are as many flows as there may be).
   * @param slot the session's slot on the peer's side: `readSlot` of the rewritten header
   */
  enqueue(slot: number, datagram: Uint8Array, now: number): void {
    const { length } = datagram;
    if (length > DATAGRAM_SLOT_BYTES) return this.#drops.countDropped('too_large');
    this.#budget.makeRoom();
    const flow = this.#table.find(this, slot) ?? this.#admit(slot);
    if (!flow) {
      this.#budget.limitsReached.flows++;
      return this.#drops.countDropped('queue_budget');
    }
    const node = this.#pool.store(datagram, now);
    if (flow.head === NO_NODE) flow.head = node;
    else this.#pool.next[flow.tail] = node;
    flow.tail = node;
    this.#account(flow, 1, length);
    const { datagrams, bytes } = this.#limits;
    while (this.#datagrams > datagrams || this.#bytes > bytes) {
      this.#budget.limitsReached[this.#datagrams > datagrams ? 'datagrams' : 'bytes']++;
      this.#dropFattest('peer_queue_full');
    }
  }

  /**
   * The next datagram to send, undefined when none is left. It is taken off: ask only when the connection has
   * room. The bytes are valid until the next `dequeue` of any queue that shares the budget.
   * What waited too long on the way is dropped and counted (`queue_delay`).
   */
  dequeue(now: number): Buffer | undefined {
    for (;;) {
      const isNew = this.#newFlows.head !== undefined;
      const list = isNew ? this.#newFlows : this.#oldFlows;
      const flow = list.head;
      if (!flow) return undefined;
      if (flow.deficit <= 0) {
        this.#endTurn(list);
        continue;
      }
      const node = this.#applyCodel(flow, now);
      if (node === NO_NODE) {
        this.#retire(flow, isNew);
        continue;
      }
      const datagram = this.#pool.load(node);
      this.#removeHead(flow);
      flow.deficit -= Math.max(datagram.length, MIN_DATAGRAM_COST_BYTES);
      if (this.#datagrams === 0) this.#releaseFlows();
      return datagram;
    }
  }

  /** Other bounds; what is over them goes with the next enqueue. */
  setLimits(limits: FairQueueLimits): void {
    this.#limits = limits;
    this.#datagramWeight = weightOf(limits);
  }

  /** Drops what waits for one session, when that has ended. Takes time by what waits. */
  drop(slot: number, reason: DropReason): void {
    const flow = this.#table.find(this, slot);
    if (!flow) return;
    // The record stays in its turn list, empty, and goes when its turn comes.
    while (flow.head !== NO_NODE) this.#dropHead(flow, reason);
    if (this.#datagrams === 0) this.#releaseFlows();
  }

  /** Drops everything, when the connection has ended. The queue is as new afterwards. */
  clear(reason: DropReason): void {
    for (let flow; (flow = this.#fat.fattest()); ) this.#dropHead(flow, reason);
    this.#releaseFlows();
  }

  /** For the budget: see `BudgetedQueue`. */
  shed(): void {
    this.#dropFattest('queue_budget');
  }

  /** A flow without a record has waited for nothing: it goes first, for one turn (RFC 8290 §4.1). */
  #admit(slot: number): Flow | undefined {
    const flow = this.#table.add(this, slot);
    if (!flow) return undefined;
    flow.deficit = QUANTUM_BYTES;
    this.#newFlows.push(flow);
    return flow;
  }

  /** The first flow of the list goes behind the old ones with another quantum. */
  #endTurn(list: FlowList): void {
    const flow = list.shift()!;
    flow.deficit += QUANTUM_BYTES;
    this.#oldFlows.push(flow);
  }

  /**
   * A flow whose turn found it empty. A new one waits out a round behind the old ones, or it could come back as
   * new at once and starve them (RFC 8290 §4.2); an old one is forgotten.
   */
  #retire(flow: Flow, isNew: boolean): void {
    flow.codel.handleEmpty();
    if (isNew) {
      this.#newFlows.shift();
      this.#oldFlows.push(flow);
    } else {
      this.#oldFlows.shift();
      this.#table.remove(flow);
    }
  }

  /** Drops from the flow's head what CoDel wants dropped; the head that is left. */
  #applyCodel(flow: Flow, now: number): number {
    for (let node; (node = flow.head) !== NO_NODE; this.#dropHead(flow, 'queue_delay')) {
      const isLast = flow.bytes - this.#pool.lengthOf(node) <= QUANTUM_BYTES;
      if (!flow.codel.shouldDrop(now, now - this.#pool.storedAt[node]!, isLast)) return node;
    }
    return NO_NODE;
  }

  /** Dropping the oldest rather than the newest lets the sender know soonest, and what is left is freshest. */
  #dropFattest(reason: DropReason): void {
    const flow = this.#fat.fattest();
    if (!flow) return;
    this.#dropHead(flow, reason);
    if (this.#datagrams === 0) this.#releaseFlows();
  }

  #dropHead(flow: Flow, reason: DropReason): void {
    this.#removeHead(flow);
    this.#drops.countDropped(reason);
  }

  #removeHead(flow: Flow): void {
    const node = flow.head;
    const length = this.#pool.lengthOf(node);
    flow.head = this.#pool.next[node]!;
    if (flow.head === NO_NODE) flow.tail = NO_NODE;
    this.#pool.free(node);
    this.#account(flow, -1, -length);
  }

  #account(flow: Flow, datagrams: number, bytes: number): void {
    flow.datagrams += datagrams;
    flow.bytes += bytes;
    this.#datagrams += datagrams;
    this.#bytes += bytes;
    if (flow.datagrams === 0) this.#fat.remove(flow.fat);
    else this.#fat.place(flow.fat, flow.bytes + flow.datagrams * this.#datagramWeight);
    this.#budget.weigh(this.#link, this.#datagrams);
  }

  /** Nothing waits, so no turn means anything. Each flow released was added by an enqueue, which pays for it. */
  #releaseFlows(): void {
    for (let flow; (flow = this.#newFlows.shift() ?? this.#oldFlows.shift()); ) this.#table.remove(flow);
  }
}

const weightOf = ({ bytes, datagrams }: FairQueueLimits): number => Math.ceil(bytes / datagrams);
