// What one identity holds over all its connections, so that limits can't be escaped by connecting
// twice. Owns the counts; the broker compares them with the limits.

export interface IdentityAccount {
  /** SPIFFE URI: an agent and a connector of the same name are two identities. */
  readonly uri: string;
  connections: number;
  /** Sessions opened by this identity, pending ones included. */
  sessions: number;
  pendingOpens: number;
}

export class IdentityAccounts {
  readonly #byUri = new Map<string, IdentityAccount>();

  get size(): number {
    return this.#byUri.size;
  }

  /** The identity's account, for one more connection. */
  join(uri: string): IdentityAccount {
    const account = this.#byUri.get(uri) ?? { uri, connections: 0, sessions: 0, pendingOpens: 0 };
    account.connections += 1;
    this.#byUri.set(uri, account);
    return account;
  }

  /** A connection is gone, its sessions ended before; the last connection takes the account along. */
  leave(account: IdentityAccount): void {
    account.connections -= 1;
    if (account.connections === 0) this.#byUri.delete(account.uri);
  }
}
