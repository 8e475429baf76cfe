// What the relay did, for logs and metrics: a closed set of names, each with exactly its fields.
// Every refusal is exactly one event that carries its failure code. No event carries a secret: no
// token, no session tag. `identity` is the connection's SPIFFE URI, `service` only ever a valid name.

import type { FailureCode } from '../../failure-codes.js';
import type { ConnectionId } from './relay-connection.js';

interface About<Level extends 'info' | 'warn', Name extends string> {
  readonly level: Level;
  readonly name: Name;
}

/** An event about one connection. */
interface OfConnection<Level extends 'info' | 'warn', Name extends string> extends About<Level, Name> {
  readonly conn: ConnectionId;
  readonly identity: string;
}

interface Refusal {
  readonly code: FailureCode;
  /** One sentence for people. */
  readonly reason: string;
}

export type RelayEvent =
  | OfConnection<'info', 'client_connected'>
  /** The connection is closed before it could register: wrong role, no common version, no hello. */
  | (OfConnection<'warn', 'client_refused'> & Refusal)
  /** Without code and reason where the client said goodbye. */
  | (OfConnection<'info', 'client_disconnected'> & Partial<Refusal>)
  | (OfConnection<'info', 'registration_accepted'> & { readonly keyId: string; readonly services: readonly string[] })
  /** `closing`: one refusal too many, the connection is closed. */
  | (OfConnection<'warn', 'registration_refused'> & Refusal & { readonly closing: boolean })
  /** A newer connection registered the identity; `conn` is the older one, which is closed. */
  | (OfConnection<'warn', 'registration_replaced'> & { readonly code: FailureCode; readonly by: ConnectionId })
  /** The identity renewed its connection; `conn` is the older one, whose sessions went to `by`. */
  | (OfConnection<'info', 'registration_moved'> & { readonly by: ConnectionId; readonly sessions: number })
  | (OfConnection<'info', 'session_opened'> & { readonly service: string; readonly connector: string })
  | (OfConnection<'warn', 'session_refused'> & Refusal & { readonly service?: string })
  | (OfConnection<'info', 'session_closed'> & {
      readonly service: string;
      readonly connector: string;
      readonly code: FailureCode;
    })
  /** This connector did not take a session and another is asked. The last one to fail is in `session_refused`. */
  | (OfConnection<'warn', 'session_failover'> & Refusal & { readonly service: string; readonly agent: string })
  /** A well-formed message that may not be acted on. */
  | (OfConnection<'warn', 'message_refused'> & { readonly code: FailureCode; readonly about: string })
  /** The first datagram of a connection that named another's session; later ones are only counted. */
  | (OfConnection<'warn', 'datagram_refused'> & Refusal)
  /** Bytes that are no message. `fatal`: the connection is closed. */
  | (OfConnection<'warn', 'control_fault'> & Refusal & { readonly about: string; readonly fatal: boolean })
  /** A key, certificate or deny list changed and this client may not stay. */
  | (OfConnection<'warn', 'right_withdrawn'> & { readonly code: FailureCode })
  | (About<'info', 'policy_replaced'> & { readonly revokedSessions: number })
  | (About<'info', 'drain_started'> & { readonly deadlineMs: number; readonly sessions: number })
  | (About<'info', 'drain_finished'> & { readonly sessions: number });

export type RelayEventName = RelayEvent['name'];
