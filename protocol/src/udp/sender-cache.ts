// Who sent a packet: from the kernel's sockaddr to the strings QUIC wants, without building them per
// packet. Direct-mapped: a slot per hash, replaced on collision, so it is bounded by construction and a
// flood of made-up sources costs each packet one small object and nothing more.

import { AF_INET, NAME_BYTES, NAME_WORDS } from './linux-layout.js';
import type { SocketAddress } from './datagram-socket.js';
import type { SocketCalls } from './linux-calls.js';
import { readSockaddr } from './sockaddr.js';

/** A power of two, above the 12 000 connections of a relay. A slot in use takes about 150 bytes: 2.4 MB when all are. */
export const SENDER_SLOTS = 16_384;
const SLOT_BITS = 14;

/** The words of a sockaddr that tell senders apart; an IPv4 one has zeros after the second. */
interface Sender extends SocketAddress {
  readonly head: number;
  readonly v4: number;
  readonly w2: number;
  readonly w3: number;
  readonly w4: number;
  readonly w5: number;
  readonly scope: number;
}

export class SenderCache {
  readonly #slots: (Sender | undefined)[] = new Array<Sender | undefined>(SENDER_SLOTS);
  readonly #calls: SocketCalls;
  readonly #names: Buffer;
  readonly #words: Uint32Array;
  #last: Sender | undefined;

  /** @param names sockaddrs, 32 bytes each, at a multiple of four in their ArrayBuffer */
  constructor(calls: SocketCalls, names: Buffer) {
    this.#calls = calls;
    this.#names = names;
    this.#words = new Uint32Array(names.buffer, names.byteOffset, names.length >>> 2);
  }

  /** The address in the `index`-th sockaddr. */
  lookup(index: number): SocketAddress {
    const at = index * NAME_WORDS;
    if (this.#last && this.#matches(this.#last, at)) return this.#last;
    const slot = this.#slotOf(at);
    let sender = this.#slots[slot];
    if (!sender || !this.#matches(sender, at)) this.#slots[slot] = sender = this.#read(index, at);
    this.#last = sender;
    return sender;
  }

  #matches(sender: Sender, at: number): boolean {
    const words = this.#words;
    if (sender.head !== words[at]) return false;
    if ((sender.head & 0xffff) === AF_INET) return sender.v4 === words[at + 1];
    // The flow label (word 1) may differ from packet to packet.
    return (
      sender.w5 === words[at + 5] && sender.w4 === words[at + 4] && sender.w3 === words[at + 3] && sender.w2 === words[at + 2] && sender.scope === words[at + 6]
    );
  }

  /** Fibonacci hashing: the top bits of a product with 2^32 / φ. */
  #slotOf(at: number): number {
    const words = this.#words;
    const head = words[at]!;
    const address = (head & 0xffff) === AF_INET ? words[at + 1]! : words[at + 2]! ^ Math.imul(words[at + 3]!, 31) ^ Math.imul(words[at + 4]!, 131) ^ words[at + 5]!;
    return Math.imul(Math.imul(address, 0x85eb_ca6b) ^ head, 0x9e37_79b9) >>> (32 - SLOT_BITS);
  }

  #read(index: number, at: number): Sender {
    const words = this.#words;
    const { host, port } = readSockaddr(this.#calls, this.#names, index * NAME_BYTES);
    return { host, port, head: words[at]!, v4: words[at + 1]!, w2: words[at + 2]!, w3: words[at + 3]!, w4: words[at + 4]!, w5: words[at + 5]!, scope: words[at + 6]! };
  }
}
