// A link on a virtual clock: the queue under test in front of a drain, and a sender that reacts to loss.

import { FairQueue, QueueBudget, type DropReason } from '@ztna/protocol';

interface FlowRecord {
  sent: number;
  delivered: number;
  readonly sojourns: number[];
  /** Sequence numbers as they came out. */
  readonly received: number[];
}

/** The queue and a drain that takes one datagram a call. */
export class Link {
  readonly drops: Partial<Record<DropReason, number>> = {};
  onDelivered: ((slot: number, seq: number, now: number) => void) | undefined;
  readonly #queue = new FairQueue({ budget: new QueueBudget(), drops: this });
  readonly #flows = new Map<number, FlowRecord>();
  readonly #payload = Buffer.alloc(1296);

  countDropped(reason: DropReason): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + 1;
  }

  flow(slot: number): FlowRecord {
    const flow = this.#flows.get(slot) ?? { sent: 0, delivered: 0, sojourns: [], received: [] };
    this.#flows.set(slot, flow);
    return flow;
  }

  send(slot: number, length: number, now: number): number {
    const seq = this.flow(slot).sent++;
    this.#payload.writeUInt32BE(slot, 0);
    this.#payload.writeUInt32BE(seq, 4);
    this.#payload.writeDoubleBE(now, 8);
    this.#queue.enqueue(slot, this.#payload.subarray(0, length), now);
    return seq;
  }

  deliver(now: number): void {
    const out = this.#queue.dequeue(now);
    if (!out) return;
    const flow = this.flow(out.readUInt32BE(0));
    flow.delivered++;
    flow.received.push(out.readUInt32BE(4));
    flow.sojourns.push(now - out.readDoubleBE(8));
    this.onDelivered?.(out.readUInt32BE(0), out.readUInt32BE(4), now);
  }

  /** Holes among what came out: certain to be lost, as a flow is in order. */
  lost(slot: number): number {
    const { received } = this.flow(slot);
    return received.length === 0 ? Infinity : received.at(-1)! + 1 - received.length;
  }
}

/** Additive increase, and once a round trip a decrease to 0.7, as CUBIC has it (RFC 9438 §4.6): what an inner QUIC sender does, no more. */
export class WindowSender {
  readonly #link: Link;
  readonly #roundTripMs: number;
  readonly #acks: { at: number; seq: number }[] = [];
  #window = 10;
  #nextSeq = 0;
  #acked = -1;
  #inFlight = 0;
  #recoverUntil = -1;

  constructor(link: Link, roundTripMs: number) {
    this.#link = link;
    this.#roundTripMs = roundTripMs;
    link.onDelivered = (_slot, seq, now) => this.#acks.push({ at: now + this.#roundTripMs, seq });
  }

  handleTime(now: number): void {
    while (this.#acks[0] && this.#acks[0].at <= now) this.#handleAck(this.#acks.shift()!.seq);
    for (; this.#inFlight < Math.floor(this.#window); this.#inFlight++) this.#nextSeq = this.#link.send(0, 1296, now) + 1;
  }

  #handleAck(seq: number): void {
    const lost = seq - this.#acked - 1;
    this.#inFlight -= 1 + lost;
    this.#acked = seq;
    if (lost === 0) this.#window += 1 / this.#window;
    else if (seq > this.#recoverUntil) {
      this.#window = Math.max(2, this.#window * 0.7);
      this.#recoverUntil = this.#nextSeq;
    }
  }
}
