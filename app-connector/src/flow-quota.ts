// How many flows each agent has open at this connector, over all its connections, how many it begins in a second, and the bounds.

import { BucketRate, TokenBucket, type Rate } from '@ztna/protocol';

/** Design §6: TCP flows per agent at a connector. */
export const MAX_FLOWS_PER_AGENT = 1024;

/**
 * Design §6: new flows of one agent. Each is a connection to the backend, which an agent in a loop would exhaust. The burst is as many as it
 * may have open: a browser or a load test that begins with all of them is no loop.
 */
export const NEW_FLOWS_PER_SECOND = 200;
export const FLOW_RATE: Rate = { perSecond: NEW_FLOWS_PER_SECOND, burst: MAX_FLOWS_PER_AGENT };

interface Account {
  open: number;
  readonly bucket: TokenBucket;
}

export class FlowQuota {
  readonly #accounts = new Map<string, Account>();
  readonly #max: number;
  readonly #rate: BucketRate;
  /** When accounts without flows were last looked at. */
  #sweptAt = -Infinity;

  constructor(max = MAX_FLOWS_PER_AGENT, rate = FLOW_RATE) {
    this.#max = max;
    this.#rate = new BucketRate(rate);
  }

  /** Takes a place for one flow, or returns false. Give each place back with `release`. `now` in ms, monotonic. */
  take(agent: string, now: number): boolean {
    this.#sweep(now);
    let account = this.#accounts.get(agent);
    if (!account) this.#accounts.set(agent, (account = { open: 0, bucket: new TokenBucket(this.#rate, now) }));
    if (account.open >= this.#max || !account.bucket.take(now)) return false;
    account.open++;
    return true;
  }

  /** Flows of all agents. */
  get total(): number {
    let total = 0;
    for (const { open } of this.#accounts.values()) total += open;
    return total;
  }

  release(agent: string): void {
    const account = this.#accounts.get(agent);
    if (account) account.open--;
  }

  /** Forgets agents without flows whose bucket is full again: nobody gets a full one by going away. Once in the time that takes. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < this.#rate.fillMs) return;
    this.#sweptAt = now;
    for (const [agent, { open, bucket }] of this.#accounts) if (open === 0 && bucket.isFull(now)) this.#accounts.delete(agent);
  }
}
