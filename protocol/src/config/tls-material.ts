// A process's own certificate, key and pinned CA: read, checked against each other and reduced to
// what the process needs to know about itself. Everything TLS would refuse later is refused here with
// the file's name and what to do. Peers' certificates are certificate-identity.ts.

import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { ZtnaError } from '../errors.js';
import { parseTrustDomainUri, relayDnsName, type Identity, type Role } from '../identity.js';
import { readBoundedFile } from './bounded-file.js';
import { chainProblem, parsePemCertificates, validityProblem } from './certificate-chain.js';
import { readCertificateIdentity } from './certificate-identity.js';
import { readSecretFile } from './secret-file.js';
import type { TlsSection } from './sections.js';
import { parseSubjectAltName } from './subject-alt-name.js';

export interface TlsMaterial {
  readonly caPem: Buffer;
  /** Leaf first, then any intermediates. */
  readonly certificatePem: Buffer;
  readonly keyPem: Buffer;
  readonly identity: Identity;
  /** What the certificate gives the right to serve; empty but for a connector. */
  readonly services: string[];
  /** SHA-256 of the leaf's DER, 32 bytes. */
  readonly fingerprint: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface TlsMaterialOptions {
  /** What this process is; a certificate of another role is refused. */
  readonly role: Role;
  /** Default: this machine's clock. */
  readonly now?: Date;
}

const MAX_PEM_BYTES = 256 * 1024;
/** RFC 5280 §4.2.1.12 OIDs, by role: connectors serve the inner handshake and dial the outer one. */
const PURPOSES: Record<Role, readonly (readonly [oid: string, name: string])[]> = {
  agent: [['1.3.6.1.5.5.7.3.2', 'clientAuth']],
  connector: [['1.3.6.1.5.5.7.3.2', 'clientAuth'], ['1.3.6.1.5.5.7.3.1', 'serverAuth']],
  relay: [['1.3.6.1.5.5.7.3.1', 'serverAuth']],
};

/**
 * Loads the files of a `tls` section.
 *
 * @throws ZtnaError `certificate_unusable` when PEM does not parse, the key is another certificate's, the
 *   chain does not lead to the CA, a date is off, or identity, role or purpose is not as expected;
 *   `key_file_permissions` and `file_unreadable` as `readSecretFile`
 */
export const loadTlsMaterial = (paths: TlsSection, options: TlsMaterialOptions): TlsMaterial => {
  const now = options.now ?? new Date();
  const caPem = readBoundedFile(paths.ca, { maxBytes: MAX_PEM_BYTES });
  const certificatePem = readBoundedFile(paths.certificate, { maxBytes: MAX_PEM_BYTES });
  const keyPem = readSecretFile(paths.key);

  const roots = certificatesOf(paths.ca, caPem);
  if (roots.some((root) => !root.ca)) throw unusable(paths.ca, 'is not a CA certificate');
  const chain = certificatesOf(paths.certificate, certificatePem);
  const leaf = chain[0]!;

  if (!leaf.checkPrivateKey(privateKeyOf(paths.key, keyPem)))
    throw unusable(paths.key, `is not the key of the certificate in ${paths.certificate}`);
  const read = readCertificateIdentity(leaf.raw);
  if (!read.ok) throw unusable(paths.certificate, `cannot be used: ${read.reason}`);
  const problem =
    keyTypeProblem(leaf.publicKey) ?? validityProblem(leaf, now) ?? purposeProblem(leaf, read.identity, options.role) ?? chainProblem(chain, roots, now) ??
    domainProblem(read.identity, roots);
  if (problem !== undefined) throw unusable(paths.certificate, problem);

  const { identity, services, fingerprint, notBefore, notAfter } = read;
  return { caPem, certificatePem, keyPem, identity, services, fingerprint, notBefore, notAfter };
};

/** The part of it that a QUIC configuration wants. */
export const quicPems = ({ caPem, certificatePem, keyPem }: TlsMaterial): Pick<TlsMaterial, 'caPem' | 'certificatePem' | 'keyPem'> => ({
  caPem,
  certificatePem,
  keyPem,
});

const unusable = (path: string, problem: string, cause?: unknown): ZtnaError =>
  new ZtnaError('certificate_unusable', `${path} ${problem}`, { cause });

const certificatesOf = (path: string, pem: Buffer): X509Certificate[] => {
  const certificates = parsePemCertificates(pem);
  if (typeof certificates === 'string') throw unusable(path, certificates);
  return certificates;
};

const privateKeyOf = (path: string, pem: Buffer): KeyObject => {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const encrypted = /BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem.toString('latin1'));
    throw unusable(path, encrypted ? 'is encrypted with a passphrase; must be an unencrypted PEM private key' : 'holds no PEM private key', error);
  }
};

/** What BoringSSL signs and verifies with in TLS 1.3 unless told otherwise; of any other key no handshake would come. */
const TLS_CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1']);
const MIN_RSA_BITS = 2048;

const keyTypeProblem = ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined => {
  if (type === 'ec' && TLS_CURVES.has(details?.namedCurve ?? '')) return undefined;
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) return undefined;
  const found = [type, details?.namedCurve ?? (details?.modulusLength ? `${details.modulusLength} bits` : '')].filter((part) => part !== '').join(' ');
  return `has a key that peers do not accept in TLS (${found}); must be ECDSA on P-256 or P-384, or RSA of ${MIN_RSA_BITS} bits or more`;
};

/** SPIFFE X.509-SVID §3.2: the URI name of a CA is its trust domain. One that states none may sign for any. */
const domainProblem = ({ trustDomain }: Identity, roots: readonly X509Certificate[]): string | undefined => {
  const domains = roots.map(trustDomainOf);
  if (domains.some((domain) => domain === undefined || domain === trustDomain)) return undefined;
  return `is of the trust domain ${trustDomain}, and the CA of ${domains.join(' or ')}: no peer accepts it`;
};

const trustDomainOf = ({ subjectAltName }: X509Certificate): string | undefined => {
  const parsed = parseSubjectAltName(subjectAltName ?? undefined);
  const uris = parsed.ok ? parsed.names.filter(({ type }) => type === 'URI') : [];
  return uris.length === 1 ? parseTrustDomainUri(uris[0]!.value) : undefined;
};

const purposeProblem = (leaf: X509Certificate, identity: Identity, role: Role): string | undefined => {
  if (identity.role !== role) return `is for the role ${identity.role}, and this process needs one for ${role}`;
  // Without the extension every purpose is allowed (RFC 5280 §4.2.1.12).
  const purposes = leaf.keyUsage as string[] | undefined;
  const missing = purposes && PURPOSES[role].find(([oid]) => !purposes.includes(oid));
  if (missing) return `lacks the extended key usage ${missing[1]}, which the role ${role} needs`;
  const dnsName = relayDnsName(identity.name, identity.trustDomain);
  if (role === 'relay' && leaf.checkHost(dnsName, { subject: 'never', wildcards: false }) === undefined)
    return `lacks the DNS name ${dnsName}, without which every client refuses this relay`;
  return undefined;
};
