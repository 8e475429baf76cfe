// Who a certificate speaks for. Owns reading identity and services out of a leaf (X.509-SVID §2 and
// §4); whether it is signed, in date and meant for this side is TLS's to verify, or tls-material.ts's
// for our own. The leaf may come from the network: every refusal is a result.

import { createHash, X509Certificate } from 'node:crypto';
import { parseIdentity, parseServiceDnsName, type Identity } from '../identity.js';
import { parseSubjectAltName } from './subject-alt-name.js';

export interface CertificateIdentity {
  readonly ok: true;
  readonly identity: Identity;
  /** Services its DNS names give the right to serve, each once; only ever non-empty for a connector. */
  readonly services: string[];
  /** SHA-256 of the DER, 32 bytes: what a registration token is bound to. */
  readonly fingerprint: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Hexadecimal, as node:crypto prints it. */
  readonly serial: string;
  /** Parsed, which takes 0.1 ms: not to be done twice. */
  readonly certificate: X509Certificate;
}

export interface CertificateIdentityFailure {
  readonly ok: false;
  readonly code: 'certificate_invalid' | 'identity_invalid';
  /** For logs and people; holds nothing out of the certificate. */
  readonly reason: string;
}

/** A connector with 64 services of 63 bytes and a long trust domain: 64 × 250 bytes of names and 1 KiB around them. */
const MAX_CERTIFICATE_BYTES = 32 * 1024;
/** DER of the subjectAltName OID 2.5.29.17. */
const SUBJECT_ALT_NAME_OID = Buffer.from('0603551d11', 'hex');

/**
 * Reads a leaf certificate. Exactly one URI name, and it a SPIFFE identity; names in another case, with a
 * final dot or a NUL never match. DNS names that are no service of the identity's trust domain are ignored.
 */
export const readCertificateIdentity = (der: Uint8Array): CertificateIdentity | CertificateIdentityFailure => {
  if (der.length > MAX_CERTIFICATE_BYTES) return unreadable(`the certificate is larger than ${MAX_CERTIFICATE_BYTES} bytes`);
  let certificate: X509Certificate;
  let altNames: string | null | undefined;
  try {
    certificate = new X509Certificate(der);
    altNames = certificate.subjectAltName;
  } catch {
    return unreadable('the certificate cannot be decoded');
  }
  // Node takes PEM here too, and ignores what follows; the fingerprint must be of these very bytes.
  if (!certificate.raw.equals(der)) return unreadable('the certificate is not exactly one DER certificate');
  // X.509-SVID §4.1: who may sign certificates must not also speak for an identity.
  if (certificate.ca) return unreadable('the certificate is a CA certificate');
  const notBefore = new Date(certificate.validFrom);
  const notAfter = new Date(certificate.validTo);
  if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime()))
    return unreadable("the certificate's validity cannot be read");
  // Libraries differ on which of two such extensions counts (RFC 5280 §4.2 forbids the second).
  const first = certificate.raw.indexOf(SUBJECT_ALT_NAME_OID);
  if (first !== certificate.raw.lastIndexOf(SUBJECT_ALT_NAME_OID))
    return invalidIdentity('the certificate has more than one subjectAltName extension');

  // Node gives null, against its types, for an extension that is there and cannot be decoded.
  if (altNames === null) return invalidIdentity('the subject alternative names cannot be read');
  const parsed = parseSubjectAltName(altNames);
  if (!parsed.ok) return invalidIdentity(parsed.reason);
  const uris = parsed.names.filter(({ type }) => type === 'URI');
  if (uris.length !== 1) return invalidIdentity(`the certificate has ${uris.length || 'no'} URI names, and must have exactly one`);
  const identity = parseIdentity(uris[0]!.value);
  if (!identity) return invalidIdentity('the URI name is not spiffe://<trust-domain>/<agent|connector|relay>/<name>');

  const services = new Set<string>();
  if (identity.role === 'connector')
    for (const { type, value } of parsed.names) {
      const service = type === 'DNS' ? parseServiceDnsName(value, identity.trustDomain) : undefined;
      if (service !== undefined) services.add(service);
    }
  return { ok: true, identity, services: [...services], fingerprint: certificateFingerprint(der), notBefore, notAfter, serial: certificate.serialNumber, certificate };
};

/** SHA-256 of a certificate's DER, 32 bytes. */
export const certificateFingerprint = (der: Uint8Array): Buffer => createHash('sha256').update(der).digest();

const unreadable = (reason: string): CertificateIdentityFailure => ({ ok: false, code: 'certificate_invalid', reason });
const invalidIdentity = (reason: string): CertificateIdentityFailure => ({ ok: false, code: 'identity_invalid', reason });
