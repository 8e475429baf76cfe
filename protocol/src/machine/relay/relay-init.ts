// What the relay's state machine is made from and what its driver exchanges with it beside control
// messages. Types only.

import type { FailureCode } from '../../failure-codes.js';
import type { Identity } from '../../identity.js';
import type { ConnectionRateTable } from '../../limits/connection-limits.js';
import type { Policy } from './policy.js';
import type { WorkerPlace } from '../../wire/control-messages.js';
import type { RelayLimits } from './relay-limits.js';
import type { TokenVerifier } from './token-verifier.js';

export interface RelayMachineInit {
  /** The relay's own, from its certificate. Clients of another trust domain are refused. */
  readonly identity: Identity;
  /** Name and version for `helloAck`, at most 256 characters. */
  readonly software: string;
  readonly policy: Policy;
  readonly verifyToken: TokenVerifier;
  /** Uniform over 0..2^32-1 and unpredictable: session tags are made of it. */
  readonly randomU32: () => number;
  /** Milliseconds since the Unix epoch. Read once per registration, for the times in its token. */
  readonly wallClock: () => number;
  /** Read at every decision: whoever owns the object may change it, for decisions to come. */
  readonly limits: RelayLimits;
  readonly rates: ConnectionRateTable;
  /** This relay's place among the workers of its process, for `helloAck`. Default: there are no others. */
  readonly worker?: WorkerPlace | undefined;
  /** Asked once per open: true while the queues hold so much that no session is to be added. */
  readonly isStrained: () => boolean;
}

/** Bytes on the control stream that are no message the codec knows. */
export interface ControlStreamFault {
  readonly code: FailureCode;
  readonly reason: string;
  /** The message's type as sent, if it could be read. */
  readonly about?: string;
  /** Framing is lost, or the codec won't go on. */
  readonly fatal: boolean;
}

/** Gauges for metrics. */
export interface RelayStats {
  readonly connections: number;
  /** Distinct identities connected. */
  readonly identities: number;
  readonly registeredConnectors: number;
  /** Services with at least one connector. */
  readonly services: number;
  /** Pending ones included. */
  readonly sessions: number;
  readonly pendingSessions: number;
  /** Slots of the session table in use: two per open session, at most two per pending one. */
  readonly sessionEnds: number;
}
