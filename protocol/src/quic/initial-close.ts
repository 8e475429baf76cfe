// CONNECTION_CLOSE with CONNECTION_REFUSED in an Initial packet, made without a connection (RFC 9000 §5.2.2,
// §10.2.3; keys RFC 9001 §5.2): tells a client whose address is validated that it need not wait. Owns the
// bytes; when one is sent is first-contact.ts's.

import { createCipheriv, createHmac } from 'node:crypto';
import { QUIC_V1 } from './long-header.js';

/** RFC 9000 §20.1. */
export const CONNECTION_REFUSED = 0x02;

const INITIAL_SALT_V1 = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const TAG_BYTES = 16;
const CONNECTION_CLOSE_TRANSPORT = 0x1c;
/** What one byte of a varint says (RFC 9000 §16). */
const MAX_REASON_BYTES = 63;

export interface InitialKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
  /** Of header protection. */
  readonly hp: Buffer;
}

export interface InitialCloseInit {
  /** The destination id of the Initial that is answered: what both sides' keys come from. */
  readonly clientDestination: Uint8Array;
  /** The client's own id. */
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  /** ASCII, at most 63 characters. */
  readonly reason: string;
}

/** The keys of a server's Initial packets. */
export const serverInitialKeys = (clientDestination: Uint8Array): InitialKeys => {
  const initialSecret = createHmac('sha256', INITIAL_SALT_V1).update(clientDestination).digest();
  const secret = expandLabel(initialSecret, 'server in', 32);
  return { key: expandLabel(secret, 'quic key', 16), iv: expandLabel(secret, 'quic iv', 12), hp: expandLabel(secret, 'quic hp', 16) };
};

/** Writes the packet; returns its length, at most 170 bytes. */
export const writeInitialClose = ({ clientDestination, destination, source, reason }: InitialCloseInit, into: Buffer): number => {
  const text = Buffer.from(reason, 'latin1').subarray(0, MAX_REASON_BYTES);
  const frame = Buffer.concat([Buffer.of(CONNECTION_CLOSE_TRANSPORT, CONNECTION_REFUSED, 0, text.length), text]);
  const version = Buffer.alloc(4);
  version.writeUInt32BE(QUIC_V1);
  // One byte of packet number, which is 0; the length counts it, the frame and the tag.
  const length = 0x4000 | (1 + frame.length + TAG_BYTES);
  const header = Buffer.concat([
    Buffer.of(0xc0), version, Buffer.of(destination.length), destination, Buffer.of(source.length), source,
    Buffer.of(0), Buffer.of(length >> 8, length & 0xff), Buffer.of(0),
  ]);
  const { key, iv, hp } = serverInitialKeys(clientDestination);
  // The nonce is the IV XOR the packet number, and that is 0.
  const seal = createCipheriv('aes-128-gcm', key, iv).setAAD(header);
  const sealed = Buffer.concat([seal.update(frame), seal.final(), seal.getAuthTag()]);
  // RFC 9001 §5.4.2: the sample begins four bytes after the packet number does, whatever that takes.
  const mask = createCipheriv('aes-128-ecb', hp, null).update(sealed.subarray(3, 19));
  header[0] = header[0]! ^ (mask[0]! & 0x0f);
  header[header.length - 1] = header[header.length - 1]! ^ mask[1]!;
  return header.copy(into) + sealed.copy(into, header.length);
};

/** HKDF-Expand-Label (RFC 8446 §7.1) without context, for lengths up to one block. */
const expandLabel = (secret: Uint8Array, label: string, length: number): Buffer => {
  const full = `tls13 ${label}`;
  const info = Buffer.concat([Buffer.of(0, length, full.length), Buffer.from(full), Buffer.of(0, 1)]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
};
