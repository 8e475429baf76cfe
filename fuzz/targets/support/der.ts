// Just enough DER to wrap names into a certificate that decodes, with every length right around them.

import { concat, hex } from './chunks.js';

export const tlv = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = concat(...parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concat(Uint8Array.of(tag, ...head), content);
};

const SEQUENCE = 0x30;
const ECDSA_SHA256 = tlv(SEQUENCE, hex('06082a8648ce3d040302'));
const NAME = tlv(SEQUENCE, tlv(0x31, tlv(SEQUENCE, hex('0603550403'), tlv(0x0c, Buffer.from('x')))));
const time = (text: string): Uint8Array => tlv(0x17, Buffer.from(text));
const PUBLIC_KEY = tlv(SEQUENCE, tlv(SEQUENCE, hex('06072a8648ce3d0201'), hex('06082a8648ce3d030107')), tlv(0x03, hex('00'), hex('04'), hex('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5')));

/** An unsigned leaf (P-256's base point is its key) whose subjectAltName extension holds `value`, whatever that is. */
export const certificateWithNames = (value: Uint8Array): Uint8Array => {
  const extensions = tlv(0xa3, tlv(SEQUENCE, tlv(SEQUENCE, hex('0603551d11'), tlv(0x04, value))));
  const toBeSigned = tlv(
    SEQUENCE, hex('a003020102'), hex('020105'), ECDSA_SHA256, NAME, tlv(SEQUENCE, time('250101000000Z'), time('350101000000Z')), NAME, PUBLIC_KEY, extensions,
  );
  return tlv(SEQUENCE, toBeSigned, ECDSA_SHA256, tlv(0x03, hex('00'), hex('3006020101020101')));
};

/** GeneralNames (RFC 5280 §4.2.1.6) with URI and DNS names. */
export const generalNames = (uris: readonly string[], dnsNames: readonly string[]): Uint8Array =>
  tlv(SEQUENCE, ...uris.map((uri) => tlv(0x86, Buffer.from(uri))), ...dnsNames.map((name) => tlv(0x82, Buffer.from(name))));
