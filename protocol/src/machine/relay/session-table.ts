// The ends of all sessions, by slot: struct of arrays, so that forwarding a datagram is a few integer
// loads and compares. Owns slots, tags and quarantine; what a session is, and when its two ends are
// linked, is the broker's. Layout, one entry per END:
//
//   slot │ owner (conn, -1 free) │ tag (random u32) │ peer (slot of the other end, -1 not linked) │ used (0 or 1)

import type { SessionHandle } from '../../wire/control-messages.js';
import type { ConnectionId } from './relay-connection.js';

const FREE = -1;
const NONE = -1;
const INITIAL_SLOTS = 256;

/**
 * A freed slot rests until this many others were freed after it, so that datagrams still in flight
 * to it find nobody (and after that, in all likelihood, another tag and owner). 1024 slots cost 16 KiB.
 */
export const SLOT_QUARANTINE = 1024;

/** Why `route` gives no slot. */
export const ROUTE_SLOT_UNKNOWN = -1;
export const ROUTE_NOT_OWNER = -2;
export const ROUTE_TAG_MISMATCH = -3;

/** `Item` is what the control plane keeps beside an end; the hot path doesn't touch it. */
export class SessionTable<Item> {
  #owners = new Int32Array(INITIAL_SLOTS).fill(FREE);
  #tags = new Uint32Array(INITIAL_SLOTS);
  #peers = new Int32Array(INITIAL_SLOTS).fill(NONE);
  /** Whether a datagram came from this end since `takeUsed`. */
  #datagramSeen = new Uint8Array(INITIAL_SLOTS);
  /** Free list as a FIFO through the table: the slot freed after this one. */
  #next = new Int32Array(INITIAL_SLOTS).fill(NONE);
  readonly #items: (Item | undefined)[] = [];
  #oldestFree = NONE;
  #newestFree = NONE;
  #free = 0;
  /** Slots ever used; those from here on have never been handed out. */
  #used = 0;
  readonly #randomU32: () => number;

  constructor(randomU32: () => number) {
    this.#randomU32 = randomU32;
  }

  /** Ends in use. */
  get size(): number {
    return this.#used - this.#free;
  }

  /** A slot for an end that doesn't forward until it is linked. */
  allocate(owner: ConnectionId): number {
    const slot = this.#free > SLOT_QUARANTINE ? this.#takeOldestFree() : this.#takeUnused();
    this.#owners[slot] = owner;
    this.#tags[slot] = this.#randomU32();
    this.#peers[slot] = NONE;
    this.#datagramSeen[slot] = 0;
    return slot;
  }

  attach(slot: number, item: Item): void {
    this.#items[slot] = item;
  }

  /** From now on the two ends forward to each other. */
  link(a: number, b: number): void {
    this.#peers[a] = b;
    this.#peers[b] = a;
  }

  /** The end stops to exist for its owner and for datagrams at once. Its peer must be released in the same step. */
  release(slot: number): void {
    this.#owners[slot] = FREE;
    this.#peers[slot] = NONE;
    this.#items[slot] = undefined;
    this.#next[slot] = NONE;
    if (this.#newestFree === NONE) this.#oldestFree = slot;
    else this.#next[this.#newestFree] = slot;
    this.#newestFree = slot;
    this.#free += 1;
  }

  handle(slot: number): SessionHandle {
    return { slot, tag: this.#tags[slot]! };
  }

  /** What belongs to a handle off the wire: only if slot and tag match and `conn` owns the end. */
  find(conn: ConnectionId, handle: SessionHandle): Item | undefined {
    const { slot, tag } = handle;
    return slot < this.#used && this.#owners[slot] === conn && this.#tags[slot] === tag ? this.#items[slot] : undefined;
  }

  /** An end that is gone and whose slot was not used again: only who was told its tag can name it. */
  wasReleased({ slot, tag }: SessionHandle): boolean {
    return slot < this.#used && this.#owners[slot] === FREE && this.#tags[slot] === tag;
  }

  /**
   * HOT PATH. The slot of the other end, or one of the negative `ROUTE_…` constants. An end that isn't linked
   * (pending) is `slot_unknown`: its owner can't tell it from one that doesn't exist.
   */
  route(conn: ConnectionId, slot: number, tag: number): number {
    if (slot >= this.#used) return ROUTE_SLOT_UNKNOWN;
    const peer = this.#peers[slot]!;
    if (peer === NONE) return ROUTE_SLOT_UNKNOWN;
    if (this.#owners[slot] !== conn) return ROUTE_NOT_OWNER;
    if (this.#tags[slot] !== tag) return ROUTE_TAG_MISMATCH;
    this.#datagramSeen[slot] = 1;
    return peer;
  }

  /** Whether a datagram was routed from this end since the last call. */
  takeUsed(slot: number): boolean {
    const used = this.#datagramSeen[slot] === 1;
    this.#datagramSeen[slot] = 0;
    return used;
  }

  /** HOT PATH. */
  ownerOf(slot: number): ConnectionId {
    return this.#owners[slot]!;
  }

  /** HOT PATH. */
  tagOf(slot: number): number {
    return this.#tags[slot]!;
  }

  #takeOldestFree(): number {
    const slot = this.#oldestFree;
    this.#oldestFree = this.#next[slot]!;
    this.#free -= 1;
    return slot;
  }

  #takeUnused(): number {
    if (this.#used === this.#owners.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const length = this.#owners.length * 2;
    const owners = new Int32Array(length).fill(FREE);
    const tags = new Uint32Array(length);
    const peers = new Int32Array(length).fill(NONE);
    const next = new Int32Array(length).fill(NONE);
    const datagramSeen = new Uint8Array(length);
    owners.set(this.#owners);
    tags.set(this.#tags);
    peers.set(this.#peers);
    next.set(this.#next);
    datagramSeen.set(this.#datagramSeen);
    this.#owners = owners;
    this.#tags = tags;
    this.#peers = peers;
    this.#next = next;
    this.#datagramSeen = datagramSeen;
  }
}
