// What the relay's state machine asks of whoever verifies registration tokens. Owns the contract;
// signatures, keyring and replay log are the token package's.

import type { FailureCode } from '../../failure-codes.js';
import type { Identity } from '../../identity.js';

/** What the relay knows about the client by its certificate, and the time of the relay. */
export interface RegistrationContext {
  readonly identity: Identity;
  /** SHA-256 of the client's certificate. */
  readonly fingerprint: Uint8Array;
  /** The services the certificate gives the right to serve; empty for agents. */
  readonly certificateServices: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly nowEpochMs: number;
}

export type RegistrationVerdict =
  | { readonly ok: true; readonly services: readonly string[]; readonly keyId: string }
  | { readonly ok: false; readonly code: FailureCode; readonly reason: string };

/**
 * Verifies one token. The verifier owns every rule about it: signature, times, replay, audience,
 * binding, identity, the key's scope, and that a connector's services are all in its certificate.
 * It doesn't throw on any input. `reason` goes to the client and to the log: no secrets.
 */
export type TokenVerifier = (token: Uint8Array, context: RegistrationContext) => RegistrationVerdict;
