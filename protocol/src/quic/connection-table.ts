// The connections of an endpoint and the connection ids that lead to them. Owns making ids, how many a
// connection may have, and forgetting them; what arrives under an id is the endpoint's.

import { randomBytes } from 'node:crypto';
import { RESET_TOKEN_BYTES } from './connection-families.js';
import type { EndpointConnection } from './endpoint-connection.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import { makeLeading } from './worker-steering.js';

/** Our connection ids: 128 bits that look random, so that none can be guessed or linked (RFC 9000 §5.1). */
export const CONNECTION_ID_BYTES = 16;

export const randomConnectionId = (): Buffer => randomBytes(CONNECTION_ID_BYTES);

/** Twice what the two sides agree on (quiche-adapter.ts): whatever a peer announces, it gets no more ids at once. */
const MAX_CONNECTION_IDS = 16;
/** Of a client: ids so old that no packet with them is under way any more may be forgotten. */
const MAX_RETIRED_IDS = 64;

export class ConnectionTable {
  readonly #byId = new Map<string, EndpointConnection>();
  readonly #connections = new Set<EndpointConnection>();
  readonly #retired = new Set<string>();
  readonly #place: WorkerPlace | undefined;

  /** @param place the worker that ids have to lead to, if there are several */
  constructor(place?: WorkerPlace) {
    this.#place = place;
  }

  /** Connections, draining ones included. */
  get size(): number {
    return this.#connections.size;
  }

  /** Connection ids that lead to a connection. */
  get idCount(): number {
    return this.#byId.size;
  }

  has(connection: EndpointConnection): boolean {
    return this.#connections.has(connection);
  }

  /** @param id as `latin1` text: what a packet's bytes turn into at the least cost */
  find(id: string): EndpointConnection | undefined {
    return this.#byId.get(id);
  }

  add(connection: EndpointConnection, id: Uint8Array): void {
    this.#connections.add(connection);
    this.bind(connection, id);
  }

  /** One more id that leads to a connection. */
  bind(connection: EndpointConnection, id: Uint8Array): void {
    const key = Buffer.from(id).toString('latin1');
    connection.ids.add(key);
    this.#byId.set(key, connection);
  }

  /** Gives the peer as many ids as it takes, for paths to come. */
  provision(connection: EndpointConnection): void {
    while (connection.ids.size < MAX_CONNECTION_IDS && connection.quic.connectionIdsLeft() > 0) {
      const { family } = connection;
      const id = family ? family.nextId() : makeLeading(randomConnectionId, this.#place);
      if (!id) return;
      connection.quic.issueConnectionId(id, family?.resetToken ?? randomBytes(RESET_TOKEN_BYTES));
      this.bind(connection, id);
    }
  }

  /** The peer retired an id. */
  unbind(connection: EndpointConnection, id: Uint8Array): void {
    const key = Buffer.from(id).toString('latin1');
    if (connection.ids.delete(key)) this.#byId.delete(key);
    if (connection.isServer) return;
    this.#retired.add(key);
    if (this.#retired.size > MAX_RETIRED_IDS) this.#retired.delete(this.#retired.values().next().value!);
  }

  /** An id that once led to a client's connection: late packets may still carry it. */
  isRetired(id: string): boolean {
    return this.#retired.has(id);
  }

  remove(connection: EndpointConnection): void {
    for (const key of connection.ids) this.#byId.delete(key);
    this.#connections.delete(connection);
  }

  [Symbol.iterator](): IterableIterator<EndpointConnection> {
    return this.#connections.values();
  }
}
