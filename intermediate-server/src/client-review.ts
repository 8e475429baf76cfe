// Whether a client may stay: everything its connection rests on, judged against the files as they are
// now. Asked when a client connects, when files were reloaded, and from time to time, since
// certificates and keys also run out by themselves.

import { X509Certificate } from 'node:crypto';
import { registrationFault, type FailureCode, type Keyring, type ReviewedClient, type Revocations } from '@ztna/protocol';

/** What a client showed in its handshake, kept for reviews. */
export interface ShownCertificate {
  readonly der: Uint8Array;
  readonly notAfter: Date;
}

export interface Authorities {
  readonly authorities: readonly X509Certificate[];
  readonly keyring: Keyring;
  readonly revocations: Revocations;
}

/** @param now wall clock, milliseconds since the Unix epoch */
export const clientFault = (
  { peer, registration }: Pick<ReviewedClient, 'peer' | 'registration'>,
  certificate: ShownCertificate,
  { authorities, keyring, revocations }: Authorities,
  now: number,
): FailureCode | undefined => {
  if (revocations.revokes(peer.identity, peer.serial)) return 'certificate_revoked';
  if (certificate.notAfter.getTime() <= now) return 'certificate_expired';
  if (!isIssuedByAny(certificate.der, authorities)) return 'certificate_unknown_ca';
  return registration && registrationFault(keyring, { ...registration, identity: peer.identity }, now);
};

/** Name and key id only: the handshake verified the signature, and a CA that left the bundle takes both with it. */
const isIssuedByAny = (der: Uint8Array, authorities: readonly X509Certificate[]): boolean => {
  const leaf = new X509Certificate(der);
  return authorities.some((authority) => leaf.checkIssued(authority));
};
