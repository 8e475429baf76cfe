// One client connection as the relay's state machine sees it. Owns its fields; the transitions are
// the machine's (hello), the registrar's (registered) and the broker's (sessions).

import type { Identity } from '../../identity.js';
import type { ObservedAddress } from '../../wire/control-messages.js';
import { ConnectionLimits, type ConnectionRateTable } from '../../limits/connection-limits.js';
import type { IdentityAccount } from './identity-accounts.js';
import type { Session } from './session.js';

/**
 * A connection as the driver numbers it: an integer >= 0, kept small by reuse, because tables are
 * indexed with it. Free again after `handleDisconnected`.
 */
export type ConnectionId = number;

/** What the handshake proved about a client. */
export interface RelayPeer {
  readonly identity: Identity;
  /** Services its certificate gives the right to serve (`<service>.svc.<trust-domain>`). */
  readonly certificateServices: readonly string[];
  /** SHA-256 of its certificate, what registration tokens are bound to. */
  readonly fingerprint: Uint8Array;
  readonly observed: ObservedAddress;
  /** For `helloAck`: what the connection's challenges are known by, if its driver follows a client that moves. */
  readonly addressKey?: Uint8Array<ArrayBuffer> | undefined;
  /** Its certificate's serial number, hexadecimal. */
  readonly serial: string;
}

/** What a client's registration rests on, for reviews of it. */
export interface Registration {
  readonly keyId: string;
  readonly services: ReadonlySet<string>;
}

/** One client, as a review judges it. */
export interface ReviewedClient {
  readonly conn: ConnectionId;
  readonly peer: RelayPeer;
  /** Undefined before the relay accepted one. */
  readonly registration: Registration | undefined;
}

/** `greeting` until `hello`; `closed` from the close command until `handleDisconnected`. */
export type ConnectionPhase = 'greeting' | 'ready' | 'closed';

export class RelayConnection {
  readonly id: ConnectionId;
  readonly peer: RelayPeer;
  /** Shared by all connections of the identity. */
  readonly account: IdentityAccount;
  /** Its rates; the bucket for opens is the account's. */
  readonly limits: ConnectionLimits;
  /** Sessions with an end here, pending ones included: teardown costs what the connection holds. */
  readonly sessions = new Set<Session>();
  observed: ObservedAddress;
  phase: ConnectionPhase = 'greeting';
  /** Undefined until the relay accepted one. */
  registration: Registration | undefined;
  failedRegistrations = 0;
  /** It was told once that a datagram named another connection's session. */
  warnedOfForeignSession = false;

  constructor(id: ConnectionId, peer: RelayPeer, account: IdentityAccount, rates: ConnectionRateTable, now: number) {
    this.id = id;
    this.peer = peer;
    this.account = account;
    this.limits = new ConnectionLimits(rates, now, account.opens);
    this.observed = peer.observed;
  }

  get registered(): boolean {
    return this.registration !== undefined;
  }

  /** The identity as a URI. */
  get uri(): string {
    return this.account.uri;
  }

  get name(): string {
    return this.peer.identity.name;
  }

  get isConnector(): boolean {
    return this.peer.identity.role === 'connector';
  }
}
