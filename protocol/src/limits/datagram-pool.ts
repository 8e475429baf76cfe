// Where queued datagrams lie: fixed-size slots in big chunks, with a free list. Owns the memory and its
// bound; what order datagrams are in is fair-queue.ts's. In steady state nothing is allocated: a datagram
// is copied into a slot, and copied out into one scratch buffer whose views are kept by length.
// Chunks come as they are needed and go as soon as they are empty, but for one spare.

/** The largest datagram an outer connection carries is 1306 bytes; 1536 = 12 × 128 leaves room for a larger path. */
export const DATAGRAM_SLOT_BYTES = 1536;
/** 512 × 1536 = 768 KiB: large enough to be its own mapping, which the system gets back when it is let go. */
const SLOTS_PER_CHUNK = 512;
/** No node: the end of a list. */
export const NO_NODE = -1;

/** 768 KiB of slots and which of them are free. */
interface Chunk {
  readonly slots: readonly Buffer[];
  used: number;
  /** First free node, or `NO_NODE`. */
  free: number;
}

/** Datagrams by node, a small integer: what `store` returns is the caller's until `free`. */
export class DatagramPool {
  /** Nodes there may be. */
  readonly capacity: number;
  /** The list a node is in: the caller's while it holds the node. */
  readonly next: Int32Array;
  /** When the node was stored, ms. */
  readonly storedAt: Float64Array;
  readonly #lengths: Uint16Array;
  readonly #chunks: (Chunk | undefined)[];
  /** Chunks, by index, that have free nodes or may be allocated; the last is used next. */
  readonly #open: number[] = [];
  readonly #scratch = Buffer.allocUnsafeSlow(DATAGRAM_SLOT_BYTES);
  readonly #views: (Buffer | undefined)[] = [];
  #used = 0;
  #allocated = 0;
  /** An empty chunk that is kept, so that one datagram to and fro doesn't allocate a chunk each time. */
  #spare: number | undefined;

  /** `limitBytes` of slots, rounded down to whole slots, at least one. */
  constructor(limitBytes: number) {
    this.capacity = Math.max(1, Math.floor(limitBytes / DATAGRAM_SLOT_BYTES));
    this.next = new Int32Array(this.capacity);
    this.storedAt = new Float64Array(this.capacity);
    this.#lengths = new Uint16Array(this.capacity);
    this.#chunks = new Array<Chunk | undefined>(Math.ceil(this.capacity / SLOTS_PER_CHUNK)).fill(undefined);
    for (let index = this.#chunks.length - 1; index >= 0; index--) this.#open.push(index);
  }

  /** Datagrams held. */
  get used(): number {
    return this.#used;
  }

  /** Bytes of chunks in memory: those in use, partly or wholly, and one spare. */
  get allocatedBytes(): number {
    return this.#allocated * DATAGRAM_SLOT_BYTES;
  }

  get isFull(): boolean {
    return this.#used === this.capacity;
  }

  /** Copies the datagram in. The caller made sure that it fits a slot and that the pool isn't full. */
  store(datagram: Uint8Array, now: number): number {
    const index = this.#open[this.#open.length - 1]!;
    const chunk = this.#chunks[index] ?? this.#allocate(index);
    const node = chunk.free;
    chunk.free = this.next[node]!;
    if (chunk.free === NO_NODE) this.#open.pop();
    if (chunk.used++ === 0 && this.#spare === index) this.#spare = undefined;
    this.#used++;
    chunk.slots[node - index * SLOTS_PER_CHUNK]!.set(datagram);
    this.#lengths[node] = datagram.length;
    this.storedAt[node] = now;
    this.next[node] = NO_NODE;
    return node;
  }

  lengthOf(node: number): number {
    return this.#lengths[node]!;
  }

  /** The datagram, copied out: valid until the next `load` of any node. */
  load(node: number): Buffer {
    const index = Math.floor(node / SLOTS_PER_CHUNK);
    // A whole slot, as a view of its exact length would be an allocation.
    this.#scratch.set(this.#chunks[index]!.slots[node - index * SLOTS_PER_CHUNK]!);
    const length = this.#lengths[node]!;
    return (this.#views[length] ??= this.#scratch.subarray(0, length));
  }

  free(node: number): void {
    const index = Math.floor(node / SLOTS_PER_CHUNK);
    const chunk = this.#chunks[index]!;
    if (chunk.free === NO_NODE) this.#open.push(index);
    this.next[node] = chunk.free;
    chunk.free = node;
    this.#used--;
    if (--chunk.used === 0) this.#retire(index);
  }

  #allocate(index: number): Chunk {
    const first = index * SLOTS_PER_CHUNK;
    const count = Math.min(SLOTS_PER_CHUNK, this.capacity - first);
    const bytes = Buffer.allocUnsafeSlow(count * DATAGRAM_SLOT_BYTES);
    const slots = Array.from({ length: count }, (_, slot) => bytes.subarray(slot * DATAGRAM_SLOT_BYTES, (slot + 1) * DATAGRAM_SLOT_BYTES));
    for (let slot = 0; slot < count; slot++) this.next[first + slot] = slot + 1 < count ? first + slot + 1 : NO_NODE;
    this.#allocated += count;
    return (this.#chunks[index] = { slots, used: 0, free: first });
  }

  /**
   * Keeps one empty chunk and lets the other go, which is never the one used next: a pool that swings about a
   * chunk's edge would allocate with every datagram. An index let go stays open and is allocated when its turn comes.
   */
  #retire(index: number): void {
    let gone = this.#spare;
    this.#spare = index;
    if (gone === undefined) return;
    if (gone === this.#open[this.#open.length - 1]) [gone, this.#spare] = [index, gone];
    this.#allocated -= this.#chunks[gone]!.slots.length;
    this.#chunks[gone] = undefined;
  }
}
