// Signs the certificate of one agent, connector or relay: role, names and validity are checked here, the
// profile is role-profile.ts. `signCertificate` below skips the checks, for tests that need a bad certificate.

import {
  formatIdentity, isName, parseIdentity, MAX_SERVICES_PER_REGISTRATION, NAME_RULE, ROLES, ZtnaError, type Identity, type Role,
} from '@ztna/protocol';
import { openAuthority, type Authority, type OpenAuthority } from './authority.js';
import type { Inspection } from './inspect.js';
import { profileNames, ROLE_PURPOSES } from './role-profile.js';
import { DEFAULT_CERTIFICATE_DAYS, formatInstant, validityFrom, type Validity } from './validity.js';
import { buildCertificate, distinguishedName } from './x509/certificate-builder.js';
import { generateKeyPair, privateKeyPem, type KeyPair } from './x509/key-pair.js';
import type { KeyUsage, Purpose } from './x509/object-identifiers.js';

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** PKCS#8; write it with `writeSecretFile`. */
  readonly keyPem: string;
}

export interface CertificateRequest {
  readonly role: Role;
  readonly name: string;
  /** A connector's only, 1 to 64 and no two the same. */
  readonly services?: readonly string[];
  /** Default 90. Not together with `notAfter`. */
  readonly days?: number;
  /** Default: five minutes before now, or the CA's own start if that is later. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Default: the present. */
  readonly now?: Date;
}

/**
 * A fresh key pair and its certificate.
 * @throws ZtnaError `usage` for a bad name, service or validity, `certificate_unusable` for a CA that cannot sign it
 */
export const issueCertificate = (authority: Authority, request: CertificateRequest): IssuedCertificate => {
  const open = openAuthority(authority);
  const { role, name, services = [] } = request;
  if (!ROLES.includes(role)) throw new ZtnaError('usage', `role ${JSON.stringify(role)} is not one of ${ROLES.join(', ')}`);
  checkName('name', name);
  checkServices(role, services);
  const identity: Identity = { trustDomain: open.trustDomain, role, name };
  return sign(open, {
    commonName: name,
    ...profileNames(identity, services),
    purposes: ROLE_PURPOSES[role],
    ...checkedValidity(open, request, formatIdentity(identity)),
  });
};

/**
 * The same again for a certificate of the CA's trust domain: identity, names, services and purposes as they are.
 *
 * @param old its profile was checked (`inspectCertificate` finds no problem but its dates)
 * @param keys default: fresh ones
 * @throws ZtnaError `certificate_unusable` for another trust domain, or a validity outside the CA's
 */
export const renewCertificate = (
  authority: Authority,
  old: Pick<Inspection, 'identity' | 'services'>,
  request: Pick<CertificateRequest, 'days' | 'now'> & { readonly keys?: KeyPair | undefined },
): IssuedCertificate => {
  const open = openAuthority(authority);
  const identity = old.identity === null ? undefined : parseIdentity(old.identity);
  if (!identity) throw new ZtnaError('certificate_unusable', 'the certificate carries no identity to renew');
  if (identity.trustDomain !== open.trustDomain) {
    throw new ZtnaError('certificate_unusable', `the certificate is of trust domain ${identity.trustDomain}, the CA of ${open.trustDomain}`);
  }
  const { role, name } = identity;
  return sign(
    open,
    {
      commonName: name,
      ...profileNames(identity, old.services),
      purposes: ROLE_PURPOSES[role],
      ...checkedValidity(open, { role, name, ...request }, formatIdentity(identity)),
    },
    request.keys,
  );
};

/** @throws ZtnaError `usage` unless `text` is a valid name; `what` says which one in the message */
export const checkName = (what: string, text: string): void => {
  if (!isName(text)) throw new ZtnaError('usage', `${what} ${JSON.stringify(text)} is not valid; use ${NAME_RULE}`);
};

const checkServices = (role: Role, services: readonly string[]): void => {
  if (role !== 'connector') {
    if (services.length > 0) throw new ZtnaError('usage', `a certificate of role ${role} serves nothing; services belong to a connector`);
    return;
  }
  if (services.length < 1 || services.length > MAX_SERVICES_PER_REGISTRATION) {
    throw new ZtnaError('usage', `a connector has 1 to ${MAX_SERVICES_PER_REGISTRATION} services, not ${services.length}; name each with --service`);
  }
  for (const service of services) checkName('service', service);
  const twice = services.find((service, index) => services.indexOf(service) !== index);
  if (twice !== undefined) throw new ZtnaError('usage', `service ${twice} is named twice`);
};

/** RFC 5280 leaves nesting to the CA; a certificate outliving its CA would fail on a day nobody expects. */
const checkedValidity = (open: OpenAuthority, request: CertificateRequest, subject: string): Validity => {
  const { now = new Date(), days } = request;
  const ca = open.certificate;
  if (days !== undefined && request.notAfter) throw new ZtnaError('usage', 'give days or notAfter, not both');
  const defaults = validityFrom(now, days ?? DEFAULT_CERTIFICATE_DAYS);
  const notBefore = request.notBefore ?? new Date(Math.max(defaults.notBefore.getTime(), ca.notBefore.getTime()));
  const notAfter = request.notAfter ?? defaults.notAfter;
  if (notBefore < ca.notBefore || notAfter <= ca.notBefore || notAfter > ca.notAfter) {
    throw new ZtnaError(
      'certificate_unusable',
      `${subject} would be valid from ${iso(notBefore)} to ${iso(notAfter)}, outside its CA's ${iso(ca.notBefore)} to ${iso(ca.notAfter)}; ask for fewer days or make a new CA`,
    );
  }
  if (!(notBefore < notAfter)) {
    throw new ZtnaError('usage', `${subject} would end before it begins: ${iso(notBefore)} to ${iso(notAfter)}`);
  }
  return { notBefore, notAfter };
};

const iso = (date: Date): string => (Number.isNaN(date.getTime()) ? 'an invalid date' : formatInstant(date));

/** Every field as given, nothing checked. */
export interface ExplicitCertificate extends Validity {
  readonly commonName: string;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly purposes: readonly Purpose[];
  /** Default `digitalSignature`, all that TLS 1.3 needs (RFC 8446 §4.4.2.2). */
  readonly keyUsages?: readonly KeyUsage[];
}

/**
 * Signs exactly what it is told. For tests of the checks that refuse such certificates (no URI SAN, two,
 * a foreign trust domain, expired, the wrong purpose); everything else calls `issueCertificate`.
 */
export const signCertificate = (authority: Authority, certificate: ExplicitCertificate): IssuedCertificate =>
  sign(openAuthority(authority), certificate);

/** @param keys default: fresh ones */
const sign = (open: OpenAuthority, certificate: ExplicitCertificate, keys: KeyPair = generateKeyPair()): IssuedCertificate => {
  const certificatePem = buildCertificate(
    {
      ...certificate,
      keyUsages: certificate.keyUsages ?? ['digitalSignature'],
      subject: distinguishedName(certificate.commonName),
      issuer: open.certificate.subject,
      publicKey: keys.publicKey,
    },
    open,
  );
  return { certificatePem, keyPem: privateKeyPem(keys.privateKey) };
};
