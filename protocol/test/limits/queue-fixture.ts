// A queue with its drops counted, and datagrams that say what they are.

import { DEFAULT_FAIR_QUEUE_LIMITS, FairQueue, QueueBudget, type DropReason, type FairQueueLimits } from '@ztna/protocol';

export interface Fixture {
  readonly queue: FairQueue;
  readonly budget: QueueBudget;
  readonly drops: Drops;
}

/** Counts as the relay's counters do, but shows only what was counted. */
export class Drops {
  readonly counts: Partial<Record<DropReason, number>> = {};
  total = 0;

  countDropped(reason: DropReason): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1;
    this.total++;
  }
}

export function fixture(limits: FairQueueLimits = DEFAULT_FAIR_QUEUE_LIMITS, budget = new QueueBudget()): Fixture {
  const drops = new Drops();
  return { queue: new FairQueue({ budget, drops }, limits), budget, drops };
}

/** Slot, sequence number, then bytes that depend on both. At least 8 bytes. */
export function datagram(slot: number, seq: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, (slot * 31 + seq) & 0xff);
  bytes.writeUInt32BE(slot, 0);
  bytes.writeUInt32BE(seq, 4);
  return bytes;
}

export function slotOf(bytes: Buffer): number {
  return bytes.readUInt32BE(0);
}

export function seqOf(bytes: Buffer): number {
  return bytes.readUInt32BE(4);
}

/** Sequence numbers by slot, in the order they came out. */
export function drain(queue: FairQueue): Map<number, number[]> {
  const seen = new Map<number, number[]>();
  for (let out; (out = queue.dequeue(0)); ) {
    const seqs = seen.get(slotOf(out)) ?? [];
    seqs.push(seqOf(out));
    seen.set(slotOf(out), seqs);
  }
  return seen;
}
