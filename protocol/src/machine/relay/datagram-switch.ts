// The relay's hot path: one datagram in, one integer out. Owns the order of checks and their drop
// reasons; the header's layout is wire/datagram-header.ts, the table session-table.ts.
//
//   rates ─► header ─► registered? ─► type ─► slot ─► owner ─► tag ─► rewritten for the other end
//
// Forwarding is array loads and integer compares only: no allocation, no Map, no string.

import { DATAGRAM_ALLOWED, RATE_DROP_REASONS } from '../../limits/connection-limits.js';
import {
  checkHeader,
  DatagramType,
  readSlot,
  readTag,
  readType,
  rewriteSession,
  writeHeader,
} from '../../wire/datagram-header.js';
import type { DropReason } from '../../wire/drop-reasons.js';
import type { DatagramCounters } from '../datagram-counters.js';
import type { ConnectionId, RelayConnection } from './relay-connection.js';
import { ROUTE_NOT_OWNER, ROUTE_SLOT_UNKNOWN, type SessionTable } from './session-table.js';

/** The datagram was for the relay itself; nothing to do. */
export const DATAGRAM_CONSUMED = -1;
/** Counted by its reason; nothing to do. */
export const DATAGRAM_DROPPED = -2;
/** A keepalive, made its own answer in place and already counted as consumed: send it back to the sender. */
export const DATAGRAM_REPLY = -3;

export interface DatagramSwitchComponents {
  /** Indexed by `ConnectionId`. */
  readonly connections: readonly (RelayConnection | undefined)[];
  readonly table: SessionTable<unknown>;
  readonly counters: DatagramCounters;
  /** A datagram named the session of another connection; called once per connection. */
  readonly onForeignSession: (connection: RelayConnection) => void;
}

export class DatagramSwitch {
  readonly #connections: readonly (RelayConnection | undefined)[];
  readonly #table: SessionTable<unknown>;
  readonly #counters: DatagramCounters;
  readonly #onForeignSession: (connection: RelayConnection) => void;

  constructor({ connections, table, counters, onForeignSession }: DatagramSwitchComponents) {
    this.#connections = connections;
    this.#table = table;
    this.#counters = counters;
    this.#onForeignSession = onForeignSession;
  }

  /** See `RelayMachine.handleDatagram`. */
  route(conn: ConnectionId, datagram: Uint8Array, length: number, now: number): number {
    this.#counters.countReceived();
    const connection = this.#connections[conn];
    if (connection === undefined) return this.#drop('not_registered');
    // First, so that what is refused for anything else has been paid for too.
    const verdict = connection.limits.checkDatagram(now, length);
    if (verdict !== DATAGRAM_ALLOWED) return this.#drop(RATE_DROP_REASONS[verdict]);
    const fault = checkHeader(datagram, length);
    if (fault !== undefined) return this.#drop(fault);
    if (!connection.registered) return this.#drop('not_registered');
    const type = readType(datagram);
    if (type !== DatagramType.data) return this.#consume(datagram, type);
    const table = this.#table;
    const peer = table.route(conn, readSlot(datagram), readTag(datagram));
    if (peer < 0) {
      if (peer === ROUTE_NOT_OWNER && !connection.warnedOfForeignSession) this.#warn(connection);
      return this.#drop(routeDrop(peer));
    }
    rewriteSession(datagram, peer, table.tagOf(peer));
    return table.ownerOf(peer);
  }

  /** Whose turn a datagram on its way to `to` is part of: at a connector its agent's, at an agent its session's. */
  flowOf(from: ConnectionId, to: ConnectionId, datagram: Uint8Array): number {
    return this.#connections[to]?.isConnector ? this.#connections[from]!.account.id : readSlot(datagram);
  }

  /** Whether a datagram that `route` rewrote for `to` a while ago still names an end of its. */
  isCurrent(to: ConnectionId, datagram: Uint8Array): boolean {
    return this.#table.route(to, readSlot(datagram), readTag(datagram)) >= 0;
  }

  /** Keepalives are between a client and the relay: slot and tag go back as they came. */
  #consume(datagram: Uint8Array, type: number): number {
    this.#counters.countConsumed();
    if (type !== DatagramType.keepalive) return DATAGRAM_CONSUMED;
    writeHeader(datagram, DatagramType.keepaliveAck, readSlot(datagram), readTag(datagram));
    return DATAGRAM_REPLY;
  }

  /** Slots are reused oldest first, so an honest client all but never gets here; a guesser does, and must not fill the log. */
  #warn(connection: RelayConnection): void {
    connection.warnedOfForeignSession = true;
    this.#onForeignSession(connection);
  }

  #drop(reason: DropReason): number {
    this.#counters.countDropped(reason);
    return DATAGRAM_DROPPED;
  }
}

const routeDrop = (route: number): DropReason => {
  if (route === ROUTE_SLOT_UNKNOWN) return 'slot_unknown';
  return route === ROUTE_NOT_OWNER ? 'not_owner' : 'tag_mismatch';
};
