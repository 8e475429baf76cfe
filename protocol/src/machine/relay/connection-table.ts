// The clients a relay machine knows, by the driver's number for them, with the rates each is held to.
// Owns the table and its counts; what phase a connection is in is the machine's.

import { formatIdentity } from '../../identity.js';
import type { ConnectionRateTable } from '../../limits/connection-limits.js';
import { IdentityAccounts } from './identity-accounts.js';
import { RelayConnection, type ConnectionId, type RelayPeer } from './relay-connection.js';

export class ConnectionTable {
  /** For the hot path, which reads it without a call. Indexed by `ConnectionId`. */
  readonly byId: (RelayConnection | undefined)[] = [];
  readonly #accounts = new IdentityAccounts();
  #rates: ConnectionRateTable;
  #size = 0;

  constructor(rates: ConnectionRateTable) {
    this.#rates = rates;
  }

  get size(): number {
    return this.#size;
  }

  /** Distinct identities connected. */
  get identities(): number {
    return this.#accounts.size;
  }

  /** `id` must be free. */
  add(id: ConnectionId, peer: RelayPeer, now: number): RelayConnection {
    const account = this.#accounts.join(formatIdentity(peer.identity), this.#rates, now);
    const connection = new RelayConnection(id, peer, account, this.#rates, now);
    this.byId[id] = connection;
    this.#size += 1;
    return connection;
  }

  remove(connection: RelayConnection, now: number): void {
    this.byId[connection.id] = undefined;
    this.#size -= 1;
    this.#accounts.leave(connection.account, now);
  }

  /** The connection, unless it was told to close. */
  live(id: ConnectionId): RelayConnection | undefined {
    const connection = this.byId[id];
    return connection?.phase === 'closed' ? undefined : connection;
  }

  all(): RelayConnection[] {
    return this.byId.filter((connection) => connection !== undefined);
  }

  /** For everybody from `now` on; what their buckets hold is kept as far as it fits. */
  setRates(rates: ConnectionRateTable, now: number): void {
    this.#rates = rates;
    this.#accounts.setRates(rates, now);
    for (const connection of this.all()) connection.limits.setRates(rates, now);
  }
}
