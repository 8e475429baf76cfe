// One direction of an emulated link: which packets it loses, and when the others come out. Fates depend on the seed
// and the order of packets alone; time comes in as an argument. No bandwidth limit and no reordering: loss and delay
// are what a run differs by.

import { PacketFates } from '@ztna/protocol/testing';

export interface ImpairedLineInit {
  readonly seed: number;
  /** Probability, 0 to 1. */
  readonly loss: number;
  /** One way, ms. */
  readonly delayMs: number;
  /** Packets in transit; more are lost and counted apart. Default 32 768: 80 ms of 400 000 packets a second. */
  readonly capacity?: number;
}

/** Takes packets that lie back to back, all `segment` long but the last, which may be shorter. */
export type SendRun = (run: Buffer, length: number, segment: number) => void;

const DEFAULT_CAPACITY = 32_768;
/** Above an Ethernet frame's payload. */
const SLOT_BYTES = 1536;
const RUN_PACKETS = 40;

export class ImpairedLine {
  readonly stats = { carried: 0, lost: 0, overflowed: 0 };
  readonly #fates: PacketFates;
  readonly #delayMs: number;
  readonly #capacity: number;
  /** A ring; memory is only taken from the system where packets have lain. */
  readonly #packets: Buffer;
  readonly #lengths: Uint16Array;
  readonly #due: Float64Array;
  readonly #run = Buffer.allocUnsafeSlow(RUN_PACKETS * SLOT_BYTES);
  #head = 0;
  #count = 0;

  constructor({ seed, loss, delayMs, capacity = DEFAULT_CAPACITY }: ImpairedLineInit) {
    this.#fates = new PacketFates(seed, { loss });
    this.#delayMs = delayMs;
    this.#capacity = capacity;
    this.#packets = Buffer.allocUnsafeSlow(capacity * SLOT_BYTES);
    this.#lengths = new Uint16Array(capacity);
    this.#due = new Float64Array(capacity);
  }

  /** Packets in transit. */
  get length(): number {
    return this.#count;
  }

  /** When the next packet comes out, in the clock of `push`; undefined when none is in transit. */
  get nextDue(): number | undefined {
    return this.#count === 0 ? undefined : this.#due[this.#head]!;
  }

  /** Takes a copy. @returns whether it will arrive */
  push(packet: Buffer, now: number): boolean {
    if (this.#fates.next().isLost) {
      this.stats.lost++;
      return false;
    }
    if (this.#count === this.#capacity || packet.length > SLOT_BYTES) {
      this.stats.overflowed++;
      return false;
    }
    const slot = (this.#head + this.#count++) % this.#capacity;
    packet.copy(this.#packets, slot * SLOT_BYTES);
    this.#lengths[slot] = packet.length;
    this.#due[slot] = now + this.#delayMs;
    return true;
  }

  /** Sends what is due, in order, in runs of equal length. */
  release(now: number, send: SendRun): void {
    let length = 0;
    let segment = 0;
    let packets = 0;
    const flush = (): void => {
      if (packets > 0) send(this.#run, length, segment);
      length = 0;
      packets = 0;
    };
    while (this.#count > 0 && this.#due[this.#head]! <= now) {
      const bytes = this.#lengths[this.#head]!;
      if (packets === RUN_PACKETS || (packets > 0 && bytes > segment)) flush();
      if (packets === 0) segment = bytes;
      const start = this.#head * SLOT_BYTES;
      this.#packets.copy(this.#run, length, start, start + bytes);
      length += bytes;
      packets++;
      this.stats.carried++;
      this.#head = (this.#head + 1) % this.#capacity;
      this.#count--;
      if (bytes < segment) flush();
    }
    flush();
  }
}
