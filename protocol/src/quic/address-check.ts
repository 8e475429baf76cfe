// How a relay asks whether its client is at an address, and how the client says yes: two packets of 42 bytes beside QUIC,
// on the same port. Drawn in docs/wire-format.md. They do what QUIC's PATH_CHALLENGE and PATH_RESPONSE do (RFC 9000 §8.2), which
// travel within the congestion window and so stand still when a change of address has left it full.
// Owns the bytes; who asks whom when is quic/address-moves.ts.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { CONNECTION_ID_BYTES } from './connection-table.js';

/** First byte: in the range that belongs to nobody, as ZTNA_MAGIC's; neither QUIC's fixed bit nor its long-header bit is set (RFC 9443 §3). */
export const ADDRESS_CHECK = 0x0f;
export const AddressCheckKind = { challenge: 0, response: 1 } as const;
export type AddressCheckKind = (typeof AddressCheckKind)[keyof typeof AddressCheckKind];

/** As much as in a PATH_CHALLENGE (RFC 9000 §19.17). */
export const ADDRESS_NONCE_BYTES = 8;

/** Where a short-header QUIC packet has its destination connection id too, so that both find the same worker. */
const ID_OFFSET = 1;
const KIND_OFFSET = ID_OFFSET + CONNECTION_ID_BYTES;
const NONCE_OFFSET = KIND_OFFSET + 1;
const MAC_OFFSET = NONCE_OFFSET + ADDRESS_NONCE_BYTES;
const MAC_BYTES = 16;
/** first byte 1 + connection id 16 + kind 1 + nonce 8 + MAC 16. */
export const ADDRESS_CHECK_BYTES = MAC_OFFSET + MAC_BYTES;

/** Writes one at the start of `into` and returns its length; undefined when ids of the receiver's are of another length than ours. */
export const writeAddressCheck = (kind: AddressCheckKind, destinationId: Uint8Array, nonce: Uint8Array, key: Uint8Array, into: Buffer): number | undefined => {
  if (destinationId.length !== CONNECTION_ID_BYTES) return undefined;
  into[0] = ADDRESS_CHECK;
  into.set(destinationId, ID_OFFSET);
  into[KIND_OFFSET] = kind;
  into.set(nonce, NONCE_OFFSET);
  into.set(macOf(into, key), MAC_OFFSET);
  return ADDRESS_CHECK_BYTES;
};

/** Whom it is for, as `latin1` text, whatever else is wrong with it; undefined for one of another length. */
export const addressCheckDestination = (packet: Buffer): string | undefined =>
  packet.length === ADDRESS_CHECK_BYTES ? packet.toString('latin1', ID_OFFSET, KIND_OFFSET) : undefined;

/** The nonce in a packet of ADDRESS_CHECK_BYTES, a view of it; undefined for another kind or without the key's MAC. */
export const readAddressCheck = (kind: AddressCheckKind, packet: Buffer, key: Uint8Array): Buffer | undefined => {
  if (packet.length !== ADDRESS_CHECK_BYTES || packet[0] !== ADDRESS_CHECK || packet[KIND_OFFSET] !== kind) return undefined;
  return timingSafeEqual(macOf(packet, key), packet.subarray(MAC_OFFSET)) ? packet.subarray(NONCE_OFFSET, MAC_OFFSET) : undefined;
};

/** HMAC-SHA256 over all that is before it, cut to 16 bytes: more than anyone can guess at 40 tries a second (RFC 2104 §5). */
const macOf = (packet: Buffer, key: Uint8Array): Buffer => createHmac('sha256', key).update(packet.subarray(0, MAC_OFFSET)).digest().subarray(0, MAC_BYTES);
