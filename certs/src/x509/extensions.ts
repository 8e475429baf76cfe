// The X.509 v3 extensions this CA writes (RFC 5280 §4.2.1), each as one DER node.
// Which certificate carries which of them is certificate-builder.ts.

import { bitString, booleanTrue, contextConstructed, contextPrimitive, encode, integer, octetString, oid, sequence } from './der.js';
import type { Der } from './der.js';
import { GENERAL_NAME, KEY_USAGE_BITS, OID, PURPOSE_OIDS } from './object-identifiers.js';
import type { KeyUsage, Purpose } from './object-identifiers.js';

const extension = (id: string, critical: boolean, value: Der): Der =>
  sequence(oid(id), ...(critical ? [booleanTrue()] : []), octetString(encode(value)));

const generalName = (tag: number, text: string): Der => contextPrimitive(tag, Buffer.from(text, 'latin1'));

/** §4.2.1.9, critical. DER leaves a FALSE default out, so a leaf's is an empty sequence. */
export const basicConstraints = (authority: { pathLength: number } | undefined): Der =>
  extension(
    OID.basicConstraints,
    true,
    authority ? sequence(booleanTrue(), integer(Buffer.from([authority.pathLength]))) : sequence(),
  );

/** §4.2.1.3, critical. A named bit list ends at its last one bit (X.690 §11.2.2). */
export const keyUsage = (usages: readonly KeyUsage[]): Der => {
  const last = Math.max(...usages.map((usage) => KEY_USAGE_BITS[usage]));
  const bytes = Buffer.alloc((last >> 3) + 1);
  for (const usage of usages) {
    const bit = KEY_USAGE_BITS[usage];
    bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  }
  return extension(OID.keyUsage, true, bitString(bytes, 7 - (last & 7)));
};

/** §4.2.1.12, not critical. One purpose only is narrower than SPIFFE X.509-SVID §4.4; docs/certificates.md says why. */
export const extendedKeyUsage = (purposes: readonly Purpose[]): Der =>
  extension(OID.extKeyUsage, false, sequence(...purposes.map((purpose) => oid(PURPOSE_OIDS[purpose]))));

/** §4.2.1.6. Not critical: the subject is never empty. URIs first. */
export const subjectAltName = (uris: readonly string[], dnsNames: readonly string[]): Der =>
  extension(
    OID.subjectAltName,
    false,
    sequence(
      ...uris.map((uri) => generalName(GENERAL_NAME.uri, uri)),
      ...dnsNames.map((name) => generalName(GENERAL_NAME.dns, name)),
    ),
  );

/** §4.2.1.2 */
export const subjectKeyIdentifier = (keyId: Uint8Array): Der =>
  extension(OID.subjectKeyIdentifier, false, octetString(keyId));

/** §4.2.1.1, the keyIdentifier form. */
export const authorityKeyIdentifier = (keyId: Uint8Array): Der =>
  extension(OID.authorityKeyIdentifier, false, sequence(contextPrimitive(0, keyId)));

/**
 * §4.2.1.10, critical: DNS names under the trust domain and URIs whose host is exactly the trust
 * domain. Whoever signs with this CA cannot speak for another trust domain, even where both CAs are pinned.
 */
export const nameConstraints = (trustDomain: string): Der =>
  extension(
    OID.nameConstraints,
    true,
    sequence(
      contextConstructed(
        0,
        sequence(generalName(GENERAL_NAME.dns, trustDomain)),
        sequence(generalName(GENERAL_NAME.uri, trustDomain)),
      ),
    ),
  );
