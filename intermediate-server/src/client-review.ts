// Whether a client may stay: everything its connection rests on, judged against the files as they are
// now. Asked when a client connects, when files were reloaded, and from time to time, since
// certificates and keys also run out by themselves.

import { registrationFault, type FailureCode, type Keyring, type ReviewedClient, type Revocations } from '@ztna/protocol';
import type { IssuerId, TrustedIssuers } from './trusted-issuers.js';

/** What a client showed in its handshake, kept for reviews. */
export interface ShownCertificate {
  /** Undefined: none of the CAs of the bundle. */
  readonly issuer: IssuerId | undefined;
  readonly notAfter: Date;
}

export interface Authorities {
  readonly issuers: TrustedIssuers;
  readonly keyring: Keyring;
  readonly revocations: Revocations;
}

/** @param now wall clock, milliseconds since the Unix epoch */
export const clientFault = (
  { peer, registration }: Pick<ReviewedClient, 'peer' | 'registration'>,
  certificate: ShownCertificate,
  { issuers, keyring, revocations }: Authorities,
  now: number,
): FailureCode | undefined => {
  if (revocations.revokes(peer.identity, peer.serial)) return 'certificate_revoked';
  if (certificate.notAfter.getTime() <= now) return 'certificate_expired';
  if (certificate.issuer === undefined || !issuers.has(certificate.issuer)) return 'certificate_unknown_ca';
  return registration && registrationFault(keyring, { ...registration, identity: peer.identity }, now);
};
