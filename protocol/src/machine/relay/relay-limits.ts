// The bounds the relay's state machine keeps, with the arithmetic behind each default. Rates and
// byte budgets belong to the driver's limiter.

import { MAX_SERVICES_PER_REGISTRATION } from '../../wire/control-messages.js';

export interface RelayLimits {
  /** Sessions of all agents together, pending ones included. */
  readonly maxSessions: number;
  /** Sessions of one agent identity over all its connections, pending ones included. */
  readonly maxSessionsPerAgent: number;
  /** Opens of one agent identity that wait for a connector's answer. */
  readonly maxPendingOpensPerAgent: number;
  readonly maxServicesPerRegistration: number;
  /** Refused registrations in a row after which the connection is closed. */
  readonly maxFailedRegistrations: number;
  /** Connectors asked for one open before it fails. */
  readonly maxConnectorsPerOpen: number;
  /** Milliseconds a connector has to answer `incoming`. */
  readonly acceptTimeoutMs: number;
  /** Milliseconds an open session may lie unused; kept to the 30 s between two looks. */
  readonly sessionIdleMs: number;
  /** Milliseconds from the end of the handshake to `hello`. */
  readonly helloTimeoutMs: number;
  /** Milliseconds; announced in `helloAck`, kept by the QUIC layer. */
  readonly idleTimeoutMs: number;
}

export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  // Two ends of 12 bytes plus one object of ~200 bytes each: about 15 MiB when full.
  maxSessions: 65_536,
  // One busy laptop uses tens; 64 such agents fill the relay, so nobody can alone.
  maxSessionsPerAgent: 1024,
  // At 5 s per silent connector still 12 opens/s, and a flood parks at most 64 `incoming` messages.
  maxPendingOpensPerAgent: 64,
  maxServicesPerRegistration: MAX_SERVICES_PER_REGISTRATION,
  // A skewed clock or an expired key is not cured by trying faster; each try costs one signature check.
  maxFailedRegistrations: 10,
  // 8 × 5 s: an open is answered within 40 s even if every connector is silent.
  maxConnectorsPerOpen: 8,
  // Several intercontinental round trips; a connector answers from memory.
  acceptTimeoutMs: 5_000,
  // Inner connections idle out after 60 s and close their session; three times that is nobody's any more.
  sessionIdleMs: 180_000,
  // `hello` is sent in the same flight as the handshake's last message; a third of the idle timeout.
  helloTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
};
