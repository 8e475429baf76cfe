// The private CA: one self-signed P-256 certificate that every process pins (SPIFFE X.509-SVID §3.2, signing
// certificate). Owns making it and reading its trust domain; signing for others is issue-certificate.ts.

import { isTrustDomain, parseTrustDomainUri, ZtnaError, MAX_TRUST_DOMAIN_LENGTH } from '@ztna/protocol';
import { buildCertificate, distinguishedName, type Signer } from './x509/certificate-builder.js';
import { parseCertificates, type ParsedCertificate } from './x509/certificate-reader.js';
import { generateKeyPair, isP256, keyIdentifier, keysMatch, parsePrivateKey, privateKeyPem } from './x509/key-pair.js';
import { DEFAULT_AUTHORITY_DAYS, validityFrom } from './validity.js';

/** A CA as its two files hold it. `keyPem` is the secret every certificate's worth rests on. */
export interface Authority {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface AuthorityInit {
  readonly trustDomain: string;
  /** Common name, for people; 1 to 64 printable characters. Default `<trust domain> CA`. */
  readonly name?: string;
  /** Default 3650. */
  readonly days?: number;
  /** Default: the present. */
  readonly now?: Date;
  /**
   * Default true. Without name constraints the CA can sign for a foreign trust domain and TLS accepts
   * it, which is what a test of the checks above TLS needs.
   */
  readonly nameConstraints?: boolean;
}

/** RFC 5280 appendix A, ub-common-name. */
const MAX_COMMON_NAME = 64;

/**
 * Makes a CA with path length 0: it signs processes, never other CAs.
 * @throws ZtnaError `usage` for a bad trust domain, name or number of days
 */
export const createAuthority = (init: AuthorityInit): Authority => {
  const { trustDomain, days = DEFAULT_AUTHORITY_DAYS, now = new Date(), nameConstraints = true } = init;
  if (!isTrustDomain(trustDomain)) {
    throw new ZtnaError(
      'usage',
      `trust domain ${JSON.stringify(trustDomain)} is not valid; use lower-case DNS labels such as corp.example, at most ${MAX_TRUST_DOMAIN_LENGTH} characters`,
    );
  }
  const subject = distinguishedName(init.name === undefined ? defaultName(trustDomain) : checkedName(init.name));
  const keys = generateKeyPair();
  const certificatePem = buildCertificate(
    {
      subject,
      issuer: subject,
      ...validityFrom(now, days),
      publicKey: keys.publicKey,
      uris: [`spiffe://${trustDomain}`],
      dnsNames: [],
      keyUsages: ['keyCertSign', 'cRLSign'],
      purposes: [],
      authority: { pathLength: 0, ...(nameConstraints ? { permittedTrustDomain: trustDomain } : {}) },
    },
    { privateKey: keys.privateKey, keyIdentifier: keyIdentifier(keys.publicKey) },
  );
  return { certificatePem, keyPem: privateKeyPem(keys.privateKey) };
};

const defaultName = (trustDomain: string): string => {
  const name = `${trustDomain} CA`;
  return name.length <= MAX_COMMON_NAME ? name : 'ztna CA';
};

const checkedName = (name: string): string => {
  if (!/^[^\p{C}\p{Zl}\p{Zp}]+$/u.test(name) || name.trim() !== name || [...name].length > MAX_COMMON_NAME) {
    throw new ZtnaError('usage', `name ${JSON.stringify(name)} is not valid; use 1 to ${MAX_COMMON_NAME} printable characters`);
  }
  return name;
};

/** A CA ready to sign. */
export interface OpenAuthority extends Signer {
  readonly certificate: ParsedCertificate;
  readonly trustDomain: string;
}

/**
 * Checks that the two parts belong together and are a CA's.
 * @throws ZtnaError `certificate_unusable` saying which is wrong
 */
export const openAuthority = (authority: Authority): OpenAuthority => {
  const [certificate] = parseCertificates(authority.certificatePem, 'the CA certificate');
  const privateKey = parsePrivateKey(authority.keyPem, 'the CA key');
  const { publicKey } = certificate.x509;
  if (!certificate.isAuthority || !certificate.keyUsages.includes('keyCertSign')) {
    throw new ZtnaError('certificate_unusable', 'the CA certificate is not one of a CA: it may not sign certificates');
  }
  if (!isP256(publicKey)) throw new ZtnaError('certificate_unusable', 'the CA key is not an ECDSA P-256 key');
  if (!keysMatch(privateKey, publicKey)) {
    throw new ZtnaError('certificate_unusable', 'the CA key does not belong to the CA certificate');
  }
  const trustDomain = authorityTrustDomain(certificate);
  if (trustDomain === undefined) {
    throw new ZtnaError('certificate_unusable', 'the CA certificate does not name its trust domain in exactly one URI SAN spiffe://<trust-domain>');
  }
  return { certificate, trustDomain, privateKey, keyIdentifier: keyIdentifier(publicKey) };
};

/** SPIFFE X.509-SVID §3.2: a signing certificate's SPIFFE ID is the trust domain alone. Undefined unless exactly that. */
export const authorityTrustDomain = (certificate: ParsedCertificate): string | undefined => {
  const [uri, ...more] = certificate.uris;
  return uri === undefined || more.length > 0 ? undefined : parseTrustDomainUri(uri);
};
