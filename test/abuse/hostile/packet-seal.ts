// Seals QUIC packets with given secrets (RFC 9001 §5), and knows the secret of Initials, which is no secret (§5.2).

import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import * as frames from './frames.js';

const TAG_BYTES = 16;
const INITIAL_SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const MIN_INITIAL_BYTES = 1200;

export interface PacketKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly header: Buffer;
}

/** AES-128-GCM keys of a traffic secret of 32 bytes. */
export const packetKeys = (secret: Buffer): PacketKeys => ({
  key: expandLabel(secret, 'quic key', 16),
  iv: expandLabel(secret, 'quic iv', 12),
  header: expandLabel(secret, 'quic hp', 16),
});

/** Keys of the client's Initials to a destination id. */
export const initialKeys = (dcid: Uint8Array): PacketKeys => {
  const initial = createHmac('sha256', INITIAL_SALT).update(dcid).digest();
  return packetKeys(expandLabel(initial, 'client in', 32));
};

/** `header` ends before the packet number, which takes four bytes: its first byte says so (0x03). */
export const sealPacket = ({ key, iv, header: headerKey }: PacketKeys, header: Uint8Array, packetNumber: number, payload: Uint8Array): Buffer => {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(packetNumber);
  const head = Buffer.concat([header, number]);
  const nonce = Buffer.from(iv);
  for (let i = 0; i < 4; i++) nonce[8 + i]! ^= number[i]!;
  const cipher = createCipheriv('aes-128-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(head);
  const packet = Buffer.concat([head, cipher.update(payload.length < 4 ? Buffer.concat([payload, Buffer.alloc(4)]) : payload), cipher.final(), cipher.getAuthTag()]);
  const mask = createCipheriv('aes-128-ecb', headerKey, null).update(packet.subarray(head.length, head.length + 16));
  packet[0]! ^= mask[0]! & ((packet[0]! & 0x80) !== 0 ? 0x0f : 0x1f);
  for (let i = 0; i < 4; i++) packet[head.length - 4 + i]! ^= mask[1 + i]!;
  return packet;
};

/** An Initial with these frames, padded to 1200 bytes, that decrypts at whoever `dcid` is. */
export const sealInitial = (dcid: Uint8Array, token: Uint8Array, packetNumber: number, payload: Uint8Array): Buffer => {
  const head = Buffer.concat([Buffer.of(0xc3, 0, 0, 0, 1, dcid.length), dcid, Buffer.of(8), randomBytes(8), frames.varint(token.length), token]);
  const room = MIN_INITIAL_BYTES - head.length - 2 - 4 - TAG_BYTES;
  const padded = Buffer.concat([payload, Buffer.alloc(Math.max(0, room - payload.length))]);
  const length = 4 + padded.length + TAG_BYTES;
  return sealPacket(initialKeys(dcid), Buffer.concat([head, Buffer.of(0x40 | (length >> 8), length & 0xff)]), packetNumber, padded);
};

/** HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1) with SHA-256, up to 32 bytes. */
const expandLabel = (secret: Buffer, label: string, length: number): Buffer => {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0, 1)]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
};
