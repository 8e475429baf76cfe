// The flows that have datagrams waiting anywhere: one record per queue and session slot, found by hash,
// used again when the flow is gone. Owns finding and recycling; fair-queue.ts moves flows through its lists.

import { CodelState } from './codel.js';
import { NO_NODE } from './datagram-pool.js';
import { FattestLink } from './fattest-list.js';

/** What flows belong to: a queue, with a small number of its own for the hash. */
export interface FlowOwner {
  readonly id: number;
}

/** The datagrams of one session that wait for one peer, in order, and what scheduling knows of it. */
export class Flow {
  /** The queue it belongs to, and the session's slot in it. */
  queue: FlowOwner | undefined = undefined;
  slot = 0;
  /** Oldest and newest node in the pool. */
  head = NO_NODE;
  tail = NO_NODE;
  datagrams = 0;
  bytes = 0;
  /** Bytes it may send before its turn is over; at or below zero it is over. */
  deficit = 0;
  readonly codel = new CodelState();
  readonly fat: FattestLink<Flow> = new FattestLink(this);
  /** The next flow of the same turn list. */
  next: Flow | undefined = undefined;
  /** The next flow of the same hash bucket, or of the spare ones. */
  chained: Flow | undefined = undefined;
}

/** First in, first out; a flow is in at most one. */
export class FlowList {
  head: Flow | undefined = undefined;
  #tail: Flow | undefined = undefined;

  push(flow: Flow): void {
    flow.next = undefined;
    if (this.head) this.#tail!.next = flow;
    else this.head = flow;
    this.#tail = flow;
  }

  shift(): Flow | undefined {
    const flow = this.head;
    if (flow) this.head = flow.next;
    return flow;
  }
}

/** Records kept for use again; 4096 at about 400 bytes are 1.6 MB. */
const MAX_SPARE = 4096;
const MIN_BUCKETS = 64;

/** All flows of all queues that share a budget. */
export class FlowTable {
  #maxFlows: number;
  #buckets: (Flow | undefined)[] = new Array<Flow | undefined>(MIN_BUCKETS).fill(undefined);
  #size = 0;
  #spare: Flow | undefined;
  #spares = 0;

  constructor(maxFlows: number) {
    this.#maxFlows = maxFlows;
  }

  get size(): number {
    return this.#size;
  }

  /** Another bound from now on; flows beyond a lower one stay until they are empty. */
  setMaxFlows(maxFlows: number): void {
    this.#maxFlows = maxFlows;
  }

  find(queue: FlowOwner, slot: number): Flow | undefined {
    let flow = this.#buckets[hash(queue.id, slot) & (this.#buckets.length - 1)];
    while (flow && (flow.slot !== slot || flow.queue !== queue)) flow = flow.chained;
    return flow;
  }

  /** A fresh flow, in no list; undefined when there are as many as there may be. `find` has not found it. */
  add(queue: FlowOwner, slot: number): Flow | undefined {
    if (this.#size >= this.#maxFlows) return undefined;
    if (this.#size === this.#buckets.length) this.#resize(this.#buckets.length * 2);
    const flow = this.#takeSpare();
    flow.queue = queue;
    flow.slot = slot;
    const bucket = hash(queue.id, slot) & (this.#buckets.length - 1);
    flow.chained = this.#buckets[bucket];
    this.#buckets[bucket] = flow;
    this.#size++;
    return flow;
  }

  /** Forgets a flow without datagrams that is in no list. */
  remove(flow: Flow): void {
    const bucket = hash(flow.queue!.id, flow.slot) & (this.#buckets.length - 1);
    let before: Flow | undefined;
    for (let at = this.#buckets[bucket]; at !== flow; at = at!.chained) before = at;
    if (before) before.chained = flow.chained;
    else this.#buckets[bucket] = flow.chained;
    this.#size--;
    flow.queue = undefined;
    flow.chained = undefined;
    if (this.#spares < MAX_SPARE) {
      flow.chained = this.#spare;
      this.#spare = flow;
      this.#spares++;
    }
  }

  #takeSpare(): Flow {
    const flow = this.#spare;
    if (!flow) return new Flow();
    this.#spare = flow.chained;
    this.#spares--;
    flow.codel.reset();
    return flow;
  }

  /** Doubles: paid for by the flows added since the last time. */
  #resize(length: number): void {
    const old = this.#buckets;
    this.#buckets = new Array<Flow | undefined>(length).fill(undefined);
    for (let flow of old) {
      while (flow) {
        const { chained } = flow;
        const bucket = hash(flow.queue!.id, flow.slot) & (length - 1);
        flow.chained = this.#buckets[bucket];
        this.#buckets[bucket] = flow;
        flow = chained;
      }
    }
  }
}

/** Slots and queue ids are the relay's own choice, small and dense: a peer can't aim for one bucket. */
const hash = (queueId: number, slot: number): number => {
  const mixed = Math.imul(slot ^ Math.imul(queueId, 0x85ebca6b), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};
