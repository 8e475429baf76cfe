// Which connectors serve which service, and who is next. Owns registrations and the round robin;
// whether a registration is lawful is the registrar's business.

import type { RelayConnection } from './relay-connection.js';

/** The connectors of one service in order of registration. `next` is the index asked next. */
interface Ring {
  readonly connectors: RelayConnection[];
  next: number;
}

export class Registry {
  readonly #rings = new Map<string, Ring>();
  readonly #registrations = new Map<RelayConnection, ReadonlySet<string>>();
  readonly #byIdentity = new Map<string, RelayConnection>();

  /** Registered connectors. */
  get connectors(): number {
    return this.#registrations.size;
  }

  /** Services with at least one connector. */
  get services(): number {
    return this.#rings.size;
  }

  /** The connection on which a connector identity (a URI) is registered. */
  registered(uri: string): RelayConnection | undefined {
    return this.#byIdentity.get(uri);
  }

  serves(service: string): boolean {
    return this.#rings.has(service);
  }

  /**
   * Sets what a connection serves, in place of what it served before; services it keeps keep their
   * turn. Another connection of the same identity must have been removed.
   */
  set(connection: RelayConnection, services: ReadonlySet<string>): void {
    const before = this.#registrations.get(connection);
    for (const service of before ?? []) if (!services.has(service)) this.#leave(connection, service);
    for (const service of services) if (before?.has(service) !== true) this.#join(connection, service);
    this.#registrations.set(connection, services);
    this.#byIdentity.set(connection.uri, connection);
  }

  /** Without effect on a connection that isn't registered. */
  remove(connection: RelayConnection): void {
    const services = this.#registrations.get(connection);
    if (services === undefined) return;
    for (const service of services) this.#leave(connection, service);
    this.#registrations.delete(connection);
    this.#byIdentity.delete(connection.uri);
  }

  /** Whether `next` would find one. */
  hasOther(service: string, asked: readonly RelayConnection[]): boolean {
    return this.#rings.get(service)?.connectors.some((connector) => !asked.includes(connector)) === true;
  }

  /**
   * Whose turn it is among the service's connectors not yet asked; moves the turn on. The cost is
   * bounded by the number already asked, not by the number of connectors.
   */
  next(service: string, asked: readonly RelayConnection[]): RelayConnection | undefined {
    const ring = this.#rings.get(service);
    if (ring === undefined) return undefined;
    const { connectors } = ring;
    for (let step = 0; step < connectors.length; step += 1) {
      const candidate = connectors[ring.next]!;
      ring.next = (ring.next + 1) % connectors.length;
      if (!asked.includes(candidate)) return candidate;
    }
    return undefined;
  }

  #join(connection: RelayConnection, service: string): void {
    const ring = this.#rings.get(service);
    if (ring === undefined) this.#rings.set(service, { connectors: [connection], next: 0 });
    else ring.connectors.push(connection);
  }

  #leave(connection: RelayConnection, service: string): void {
    const ring = this.#rings.get(service)!;
    const index = ring.connectors.indexOf(connection);
    ring.connectors.splice(index, 1);
    // The turn stays with the same connector when one before it leaves.
    if (index < ring.next) ring.next -= 1;
    if (ring.next >= ring.connectors.length) ring.next = 0;
    if (ring.connectors.length === 0) this.#rings.delete(service);
  }
}
