// Reads what a certificate says, extension by extension, from its DER (RFC 5280 §4). Owns syntax only:
// whether the content is right for a role is inspect.ts. Certificates may come from anyone.

import { X509Certificate } from 'node:crypto';
import { ZtnaError } from '@ztna/protocol';
import { children, content, decode, DerType, isContext, isUniversal, readOid, readTime, type Der } from './der.js';
import { GENERAL_NAME, KEY_USAGE_BITS, OID, PURPOSE_OIDS, type KeyUsage } from './object-identifiers.js';

export interface ParsedCertificate {
  /** For the public key, `verify`, `checkIssued` and the fingerprint. */
  readonly x509: X509Certificate;
  /** Name DER, to be copied byte for byte into what this certificate signs. */
  readonly subject: Der;
  readonly commonName: string | undefined;
  readonly issuerCommonName: string | undefined;
  /** Upper-case hex, as openssl prints it. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly signatureAlgorithm: string;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Subject alternative names that are neither URI nor DNS name. */
  readonly otherNames: number;
  readonly isAuthority: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsages: readonly KeyUsage[];
  /** `serverAuth`, `clientAuth`, or a dotted OID of any other purpose. */
  readonly purposes: readonly string[];
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Every certificate of a PEM text, in order; text around the blocks is ignored (RFC 7468 §5.2).
 * `what` names the file in messages.
 * @throws ZtnaError `certificate_unusable` when there is none or one cannot be decoded
 */
export const parseCertificates = (pem: string, what: string): [ParsedCertificate, ...ParsedCertificate[]] => {
  const [first, ...rest] = (pem.match(BLOCK) ?? []).map((block) => {
    try {
      return parse(new X509Certificate(block));
    } catch (cause) {
      throw new ZtnaError('certificate_unusable', `${what} holds a certificate that cannot be decoded`, { cause });
    }
  });
  if (!first) throw new ZtnaError('certificate_unusable', `${what} holds no certificate in PEM form`);
  return [first, ...rest];
};

const parse = (x509: X509Certificate): ParsedCertificate => {
  // Node decodes the key on first use and throws then; here that is one more way to be unusable.
  void x509.publicKey;
  const [tbs, algorithm] = children(decode(x509.raw));
  const fields = children(tbs);
  // Version 1 leaves its [0] out; it then has no extensions, and fails every check of a role.
  const [serial, , issuer, validity, subject] = isContext(fields[0], 0) ? fields.slice(1) : fields;
  const [notBefore, notAfter] = children(validity);
  const extensions = readExtensions(fields.find((field) => isContext(field, 3)));
  const names = listIn(extensions.get(OID.subjectAltName));
  const constraints = listIn(extensions.get(OID.basicConstraints));
  const isAuthority = isUniversal(constraints[0], DerType.BOOLEAN) && content(constraints[0])[0] !== 0;
  const pathLength = constraints.find((item) => isUniversal(item, DerType.INTEGER));
  return {
    x509,
    subject: subject!,
    commonName: commonNameOf(subject),
    issuerCommonName: commonNameOf(issuer),
    serial: content(serial).toString('hex').toUpperCase(),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    signatureAlgorithm: readOid(children(algorithm)[0]),
    uris: namesOf(names, GENERAL_NAME.uri),
    dnsNames: namesOf(names, GENERAL_NAME.dns),
    otherNames: names.filter((name) => !isContext(name, GENERAL_NAME.uri) && !isContext(name, GENERAL_NAME.dns)).length,
    isAuthority,
    pathLength: pathLength && content(pathLength).readUIntBE(0, Math.min(content(pathLength).length, 6)),
    keyUsages: keyUsagesOf(extensions.get(OID.keyUsage)),
    purposes: listIn(extensions.get(OID.extKeyUsage)).map(purposeName),
  };
};

/** OID → the DER inside extnValue. RFC 5280 §4.2: an extension occurs once. */
const readExtensions = (wrapper: Der | undefined): Map<string, Der> => {
  const found = new Map<string, Der>();
  if (!wrapper) return found;
  for (const item of children(children(wrapper)[0])) {
    const parts = children(item);
    const id = readOid(parts[0]);
    if (found.has(id)) throw new Error(`extension ${id} occurs twice`);
    // Only ours are decoded: another extension's value need not be DER this reader understands.
    if (knownExtensions.has(id)) found.set(id, decode(content(parts[parts.length - 1])));
  }
  return found;
};

const knownExtensions = new Set<string>([OID.subjectAltName, OID.basicConstraints, OID.keyUsage, OID.extKeyUsage]);

const listIn = (node: Der | undefined): Der[] => (node ? children(node) : []);

const namesOf = (names: readonly Der[], tag: number): string[] =>
  names.filter((name) => isContext(name, tag)).map((name) => content(name).toString('latin1'));

const commonNameOf = (name: Der | undefined): string | undefined => {
  for (const relative of children(name)) {
    for (const attribute of children(relative)) {
      const [type, value] = children(attribute);
      if (readOid(type) === OID.commonName) return content(value).toString('utf8');
    }
  }
  return undefined;
};

const keyUsagesOf = (node: Der | undefined): KeyUsage[] => {
  if (!node) return [];
  const bits = content(node).subarray(1);
  return (Object.keys(KEY_USAGE_BITS) as KeyUsage[]).filter((usage) => {
    const bit = KEY_USAGE_BITS[usage];
    return ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  });
};

const purposeName = (node: Der): string => {
  const id = readOid(node);
  return Object.entries(PURPOSE_OIDS).find(([, known]) => known === id)?.[0] ?? id;
};
