// Builds and signs one X.509 v3 certificate from explicit fields (RFC 5280 §4.1). It judges nothing: what a
// role's certificate must say is issue-certificate.ts, so that tests can build certificates no CA should sign.

import { randomBytes, sign, type KeyObject } from 'node:crypto';
import { bitString, contextConstructed, encode, decode, integer, oid, sequence, set, time, utf8String, type Der } from './der.js';
import * as extensions from './extensions.js';
import { publicKeyInfo, keyIdentifier } from './key-pair.js';
import { OID, type KeyUsage, type Purpose } from './object-identifiers.js';

export interface CertificateFields {
  /** Name DER; see `distinguishedName`. */
  readonly subject: Der;
  readonly issuer: Der;
  /** Inclusive; cut to whole seconds. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly keyUsages: readonly KeyUsage[];
  /** Empty: no extended key usage extension, as on a CA. */
  readonly purposes: readonly Purpose[];
  /** Present on a CA only. */
  readonly authority?: { readonly pathLength: number; readonly permittedTrustDomain?: string };
}

export interface Signer {
  readonly privateKey: KeyObject;
  readonly keyIdentifier: Uint8Array;
}

/** A Name of a single CN, UTF8String (RFC 5280 §4.1.2.4). For people; nothing reads it as identity. */
export const distinguishedName = (commonName: string): Der =>
  sequence(set(sequence(oid(OID.commonName), utf8String(commonName))));

/** The signed certificate as PEM. The signer's key must be P-256. */
export const buildCertificate = (fields: CertificateFields, signer: Signer): string => {
  const algorithm = sequence(oid(OID.ecdsaWithSha256)); // RFC 5758 §3.2: parameters absent
  const tbs = sequence(
    contextConstructed(0, integer(Buffer.from([2]))), // v3
    integer(randomSerial()),
    algorithm,
    fields.issuer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subject,
    decode(publicKeyInfo(fields.publicKey)),
    contextConstructed(3, sequence(...extensionList(fields, signer))),
  );
  const signature = sign('sha256', encode(tbs), { key: signer.privateKey, dsaEncoding: 'der' });
  return pem(encode(sequence(tbs, algorithm, bitString(signature))));
};

const extensionList = (fields: CertificateFields, signer: Signer): Der[] => {
  const { authority, uris, dnsNames, purposes } = fields;
  const list = [extensions.basicConstraints(authority), extensions.keyUsage(fields.keyUsages)];
  if (purposes.length > 0) list.push(extensions.extendedKeyUsage(purposes));
  list.push(extensions.subjectKeyIdentifier(keyIdentifier(fields.publicKey)));
  list.push(extensions.authorityKeyIdentifier(signer.keyIdentifier));
  // RFC 5280 §4.2.1.6: a subjectAltName holds at least one name.
  if (uris.length + dnsNames.length > 0) list.push(extensions.subjectAltName(uris, dnsNames));
  if (authority?.permittedTrustDomain !== undefined) list.push(extensions.nameConstraints(authority.permittedTrustDomain));
  return list;
};

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes. First bits 01: always 16 bytes, 126 of their bits random. */
const randomSerial = (): Buffer => {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial;
};

/** RFC 7468 §5 */
const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
