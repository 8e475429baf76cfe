// Looks at one certificate the way the overlay's processes will, and lists everything they would refuse.
// Owns the judgement; decoding is certificate-reader.ts, printing is inspection-text.ts.

import { parseIdentity, type FailureCode, type Identity } from '@ztna/protocol';
import { authorityTrustDomain } from './authority.js';
import { profileNames, ROLE_PURPOSES, servicesOf } from './role-profile.js';
import { DAY_MS, formatInstant } from './validity.js';
import type { ParsedCertificate } from './x509/certificate-reader.js';
import { isP256, keysMatch } from './x509/key-pair.js';
import { OID } from './x509/object-identifiers.js';
import type { KeyObject } from 'node:crypto';

export interface InspectionInput {
  readonly certificate: ParsedCertificate;
  /** The pinned CA, or several during a change of CA. Absent: the chain is not checked. */
  readonly authorities?: readonly ParsedCertificate[];
  /** Absent: the key is not checked. */
  readonly privateKey?: KeyObject;
  readonly now: Date;
}

export interface Problem {
  /** A failure code of the overlay where peers would report one. */
  readonly code: FailureCode | 'key_mismatch' | 'key_file_permissions';
  readonly message: string;
}

export type CheckResult = 'valid' | 'invalid' | 'not checked';

/** Plain data: what `ztna-certs inspect --json` prints. */
export interface Inspection {
  readonly kind: 'authority' | 'certificate';
  /** Null when the certificate carries no valid one. */
  readonly identity: string | null;
  readonly trustDomain: string | null;
  readonly role: Identity['role'] | null;
  readonly name: string | null;
  /** What a connector may serve. */
  readonly services: readonly string[];
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly purposes: readonly string[];
  readonly keyUsages: readonly string[];
  readonly pathLength: number | null;
  /** ISO 8601. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Whole days until notAfter, rounded down; negative once expired. */
  readonly daysLeft: number;
  /** Upper-case hex. */
  readonly serial: string;
  /** As `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprintSha256: string;
  readonly chain: CheckResult;
  readonly key: CheckResult;
  readonly problems: readonly Problem[];
}

export const inspectCertificate = ({ certificate, authorities, privateKey, now }: InspectionInput): Inspection => {
  const { isAuthority, uris, dnsNames, x509 } = certificate;
  const identity = isAuthority || uris.length !== 1 ? undefined : parseIdentity(uris[0]!);
  const trustDomain = isAuthority ? authorityTrustDomain(certificate) : identity?.trustDomain;
  const chainProblems = authorities ? checkChain(certificate, trustDomain, authorities, now) : [];
  const keyProblems: Problem[] =
    privateKey && !keysMatch(privateKey, x509.publicKey)
      ? [{ code: 'key_mismatch', message: 'the key does not belong to the certificate' }]
      : [];
  return {
    kind: isAuthority ? 'authority' : 'certificate',
    identity: identity ? uris[0]! : null,
    trustDomain: trustDomain ?? null,
    role: identity?.role ?? null,
    name: identity?.name ?? null,
    services: identity ? servicesOf(identity, dnsNames) : [],
    subject: certificate.commonName ?? null,
    issuer: certificate.issuerCommonName ?? null,
    uris,
    dnsNames,
    purposes: certificate.purposes,
    keyUsages: certificate.keyUsages,
    pathLength: certificate.pathLength ?? null,
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    daysLeft: Math.floor((certificate.notAfter.getTime() - now.getTime()) / DAY_MS),
    serial: certificate.serial,
    fingerprintSha256: x509.fingerprint256,
    chain: !authorities ? 'not checked' : chainProblems.length === 0 ? 'valid' : 'invalid',
    key: !privateKey ? 'not checked' : keyProblems.length === 0 ? 'valid' : 'invalid',
    problems: [
      ...checkTime(certificate, now),
      ...checkForm(certificate),
      ...(isAuthority ? checkAuthority(certificate, trustDomain) : checkProfile(certificate, identity)),
      ...chainProblems,
      ...keyProblems,
    ],
  };
};

const checkTime = ({ notBefore, notAfter }: ParsedCertificate, now: Date): Problem[] => {
  if (now < notBefore) return [{ code: 'certificate_expired', message: `not valid before ${formatInstant(notBefore)}` }];
  if (now > notAfter) return [{ code: 'certificate_expired', message: `expired on ${formatInstant(notAfter)}` }];
  return [];
};

const checkForm = ({ x509, signatureAlgorithm }: ParsedCertificate): Problem[] => {
  const problems: Problem[] = [];
  if (!isP256(x509.publicKey)) problems.push({ code: 'certificate_invalid', message: 'the public key is not ECDSA P-256' });
  if (signatureAlgorithm !== OID.ecdsaWithSha256) {
    problems.push({ code: 'certificate_invalid', message: 'it is not signed with ECDSA and SHA-256' });
  }
  return problems;
};

const checkAuthority = (certificate: ParsedCertificate, trustDomain: string | undefined): Problem[] => {
  const problems: Problem[] = [];
  if (trustDomain === undefined) {
    problems.push({ code: 'identity_invalid', message: 'a CA carries exactly one URI SAN, spiffe://<trust-domain>' });
  }
  if (!certificate.keyUsages.includes('keyCertSign')) {
    problems.push({ code: 'certificate_purpose_invalid', message: 'a CA needs the key usage keyCertSign' });
  }
  if (certificate.pathLength !== 0) {
    problems.push({ code: 'certificate_purpose_invalid', message: 'a CA that signs processes only has path length 0' });
  }
  if (!isSignedBy(certificate, certificate)) {
    problems.push({ code: 'certificate_unknown_ca', message: 'a pinned CA is self-signed, and this one is not' });
  }
  return problems;
};

const checkProfile = (certificate: ParsedCertificate, identity: Identity | undefined): Problem[] => {
  if (!identity) {
    const message =
      certificate.uris.length === 1
        ? 'its URI SAN is not spiffe://<trust-domain>/<role>/<name>'
        : `an identity is exactly one URI SAN; there are ${certificate.uris.length}`;
    return [{ code: 'identity_invalid', message }];
  }
  const problems: Problem[] = [];
  const purposes = ROLE_PURPOSES[identity.role];
  if (!sameSet(certificate.purposes, purposes)) {
    problems.push({
      code: 'certificate_purpose_invalid',
      message: `a certificate of role ${identity.role} has the extended key usages ${purposes.join(', ')}`,
    });
  }
  if (!sameSet(certificate.keyUsages, ['digitalSignature'])) {
    problems.push({ code: 'certificate_purpose_invalid', message: 'its key usage must be digitalSignature and nothing else' });
  }
  const expected = profileNames(identity, servicesOf(identity, certificate.dnsNames)).dnsNames;
  const missing = identity.role === 'connector' && expected.length === 0;
  if (!sameSet(certificate.dnsNames, expected) || certificate.otherNames > 0 || missing) {
    problems.push({ code: 'certificate_name_mismatch', message: dnsRule(identity) });
  }
  return problems;
};

const dnsRule = ({ role, name, trustDomain }: Identity): string =>
  role === 'relay'
    ? `besides its URI a relay has the one DNS SAN ${name}.relay.${trustDomain}`
    : role === 'connector'
      ? `besides its URI a connector has one DNS SAN <service>.svc.${trustDomain} for each service, and nothing else`
      : 'besides its URI an agent has no alternative name';

const checkChain = (
  certificate: ParsedCertificate,
  trustDomain: string | undefined,
  authorities: readonly ParsedCertificate[],
  now: Date,
): Problem[] => {
  const authority = authorities.find((candidate) => candidate.isAuthority && isSignedBy(certificate, candidate));
  // A CA is trusted by being the pinned one; a further CA below it is refused, as path length 0 says.
  if (!authority || (certificate.isAuthority && certificate.x509.fingerprint256 !== authority.x509.fingerprint256)) {
    return [{ code: 'certificate_unknown_ca', message: 'it is not signed by the CA given' }];
  }
  const problems: Problem[] = [];
  if (checkTime(authority, now).length > 0) {
    problems.push({ code: 'certificate_unknown_ca', message: `its CA is valid from ${formatInstant(authority.notBefore)} to ${formatInstant(authority.notAfter)} only` });
  }
  const domain = authorityTrustDomain(authority);
  if (trustDomain !== undefined && trustDomain !== domain) {
    problems.push({ code: 'trust_domain_mismatch', message: `its trust domain is ${trustDomain}, its CA's is ${domain ?? 'not stated'}` });
  }
  return problems;
};

/** Name, key identifier and key usage fit (`checkIssued`), and so does the signature. */
const isSignedBy = (certificate: ParsedCertificate, authority: ParsedCertificate): boolean =>
  certificate.x509.checkIssued(authority.x509) && certificate.x509.verify(authority.x509.publicKey);

const sameSet = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && new Set(one).size === one.length && one.every((item) => other.includes(item));
