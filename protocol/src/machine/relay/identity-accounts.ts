// What one identity holds over all its connections, so that limits can't be escaped by connecting
// twice, or by connecting anew. Owns the counts; the broker compares them with the limits.

import type { ConnectionRateTable } from '../../limits/connection-limits.js';
import { TokenBucket } from '../../limits/token-bucket.js';

export interface IdentityAccount {
  /** SPIFFE URI: an agent and a connector of the same name are two identities. */
  readonly uri: string;
  /** A small integer of its own while it is connected: what its datagrams queue under at a connector. */
  readonly id: number;
  /** Session opens it may still ask for. */
  readonly opens: TokenBucket;
  connections: number;
  /** Sessions opened by this identity, pending ones included. */
  sessions: number;
  pendingOpens: number;
}

export class IdentityAccounts {
  readonly #byUri = new Map<string, IdentityAccount>();
  /** Not connected, with a bucket that isn't full yet: forgotten at once, whoever connects anew had a full one. Oldest first. */
  readonly #resting = new Set<IdentityAccount>();
  readonly #freeIds: number[] = [];
  #nextId = 0;

  /** Identities that are connected. */
  get size(): number {
    return this.#byUri.size - this.#resting.size;
  }

  /** The identity's account, for one more connection. */
  join(uri: string, rates: ConnectionRateTable, now: number): IdentityAccount {
    this.#forgetRested(now);
    const account = this.#byUri.get(uri) ?? this.#create(uri, rates, now);
    this.#resting.delete(account);
    account.connections += 1;
    return account;
  }

  /** A connection is gone, its sessions ended before; the last connection takes the account along, once its bucket is full. */
  leave(account: IdentityAccount, now: number): void {
    account.connections -= 1;
    if (account.connections > 0) return;
    this.#resting.add(account);
    this.#forgetRested(now);
  }

  /** For everybody from `now` on, those who left a moment ago included. */
  setRates(rates: ConnectionRateTable, now: number): void {
    for (const { opens } of this.#byUri.values()) opens.setRate(rates.opens, now);
  }

  #create(uri: string, rates: ConnectionRateTable, now: number): IdentityAccount {
    const id = this.#freeIds.pop() ?? this.#nextId++;
    const account = { uri, id, opens: new TokenBucket(rates.opens, now), connections: 0, sessions: 0, pendingOpens: 0 };
    this.#byUri.set(uri, account);
    return account;
  }

  /** Each is looked at once more than it is forgotten: who comes or goes pays for those who went before. */
  #forgetRested(now: number): void {
    for (const account of this.#resting) {
      if (!account.opens.isFull(now)) return;
      this.#resting.delete(account);
      this.#byUri.delete(account.uri);
      this.#freeIds.push(account.id);
    }
  }
}
