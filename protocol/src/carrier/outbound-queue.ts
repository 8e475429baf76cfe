// What stands between a switch and one connection that datagrams are to leave by: straight through while
// the connection takes them, in a fair queue (limits/fair-queue.ts) while it doesn't. Owns when which.
//
//   send ─► room in the burst? ─► QUIC's own queue ─► flush: packets, as far as the congestion window goes
//              │ used up: flush now; all gone? another burst
//              └ no: fair queue ─► handleFlushed: a few, flush, twice as many, flush … until QUIC keeps some
//
// QUIC's queue is first in, first out, and so must stay short: what stands there stands before everybody.
// It is given at most BURST datagrams it may not be able to send, or about what it sent in the same turn.

import type { DropReason } from '../wire/drop-reasons.js';
import { DEFAULT_FAIR_QUEUE_LIMITS, FairQueue, type FairQueueComponents, type FairQueueLimits } from '../limits/fair-queue.js';
import { DATAGRAM_QUEUE_FULL, DATAGRAM_QUEUED, DATAGRAM_TOO_LARGE, type DatagramOutcome, type QuicConnection } from '../quic/port.js';

/** Full datagrams in one run of the socket (packet-runs.ts): flushing that often costs no more system calls. */
export const BURST_DATAGRAMS = 44;
/** An acknowledgement commonly stands for two packets, and so makes room for two. */
const FIRST_REFILL = 4;

/** Where each datagram ends is counted; `DatagramCounters` is one. */
export interface OutboundCounter {
  countForwarded(): void;
  countDropped(reason: DropReason): void;
}

/** What it needs of a connection; `EndpointConnection` is one. */
export interface OutboundLink {
  readonly quic: Pick<QuicConnection, 'sendDatagram' | 'datagramsToSend'>;
  /** Sends now what congestion control allows. */
  flush(): void;
  /** A flush is due at the end of the turn. */
  markDirty(): void;
}

export interface OutboundQueueInit {
  readonly link: OutboundLink;
  readonly counter: OutboundCounter;
  readonly budget: FairQueueComponents['budget'];
  readonly limits?: FairQueueLimits;
  /** Asked when a datagram's turn comes: its session may have ended while it waited (`slot_unknown`). Default: none has. */
  readonly isCurrent?: (datagram: Uint8Array) => boolean;
}

/** Every datagram given to `send` is counted once: forwarded when QUIC has it, or dropped by its reason. */
export class OutboundQueue {
  readonly #link: OutboundLink;
  readonly #counter: OutboundCounter;
  readonly #budget: FairQueueComponents['budget'];
  readonly #isCurrent: ((datagram: Uint8Array) => boolean) | undefined;
  #limits: FairQueueLimits;
  /** Datagrams that may go straight through before the next flush. More than 0 only while nothing waits. */
  #room = BURST_DATAGRAMS;
  /** QUIC kept some at the last flush: the congestion window is full. */
  #isHeld = false;
  /** Made with the first datagram that has to wait: most connections never have one. */
  #queue: FairQueue | undefined;

  constructor({ link, counter, budget, limits = DEFAULT_FAIR_QUEUE_LIMITS, isCurrent }: OutboundQueueInit) {
    this.#link = link;
    this.#counter = counter;
    this.#budget = budget;
    this.#limits = limits;
    this.#isCurrent = isCurrent;
  }

  /** Datagrams waiting here; what QUIC has counts as forwarded. */
  get datagrams(): number {
    return this.#queue?.datagrams ?? 0;
  }

  get bytes(): number {
    return this.#queue?.bytes ?? 0;
  }

  /** HOT PATH. True: `pass` takes the next datagram. False: `wait` does. */
  get isOpen(): boolean {
    return this.#room > 0 || (!this.#isHeld && this.#flushEarly());
  }

  /** HOT PATH. Gives a datagram to QUIC; only after `isOpen`. */
  pass(datagram: Uint8Array): void {
    this.#room--;
    this.#give(datagram);
    this.#link.markDirty();
  }

  /**
   * Copies a datagram into the queue.
   * @param flow who it shares its turn with, an integer
   */
  wait(flow: number, datagram: Uint8Array, now: number): void {
    this.#queue ??= new FairQueue({ budget: this.#budget, drops: this.#counter }, this.#limits);
    this.#queue.enqueue(flow, datagram, now);
  }

  /** The connection was flushed: gives it what waits for as long as it sends what it is given. */
  handleFlushed(now: number): void {
    if (this.#room === BURST_DATAGRAMS) return; // nothing was given since the last time
    for (let count = FIRST_REFILL; ; count = Math.min(count * 2, BURST_DATAGRAMS)) {
      if (!this.#settle()) return;
      if (!this.#queue || this.#queue.isEmpty) return;
      this.#room = 0;
      this.#refill(this.#queue, count, now);
      this.#link.flush();
    }
  }

  /** Bounds from now on; what waits beyond them goes with the next that comes. */
  setLimits(limits: FairQueueLimits): void {
    this.#limits = limits;
    this.#queue?.setLimits(limits);
  }

  /** The connection has ended. */
  clear(reason: DropReason): void {
    this.#queue?.clear(reason);
  }

  /** Mid-turn, so that a turn's worth for one connection neither is copied nor stands in QUIC's queue. */
  #flushEarly(): boolean {
    this.#link.flush();
    return this.#settle();
  }

  /** After a flush: whether QUIC sent all it had. */
  #settle(): boolean {
    this.#isHeld = this.#link.quic.datagramsToSend() > 0;
    this.#room = this.#isHeld ? 0 : BURST_DATAGRAMS;
    return !this.#isHeld;
  }

  #refill(queue: FairQueue, count: number, now: number): void {
    for (let given = 0; given < count; ) {
      const datagram = queue.dequeue(now);
      if (!datagram) return;
      if (this.#isCurrent?.(datagram) === false) this.#counter.countDropped('slot_unknown');
      else {
        this.#give(datagram);
        given++;
      }
    }
  }

  #give(datagram: Uint8Array): void {
    const outcome = this.#link.quic.sendDatagram(datagram);
    if (outcome === DATAGRAM_QUEUED) this.#counter.countForwarded();
    else this.#counter.countDropped(dropReason(outcome));
  }
}

const dropReason = (outcome: DatagramOutcome): DropReason => {
  if (outcome === DATAGRAM_QUEUE_FULL) return 'peer_queue_full';
  return outcome === DATAGRAM_TOO_LARGE ? 'too_large' : 'peer_gone';
};
