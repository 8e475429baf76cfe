// Reads just enough of a QUIC long header (RFC 9000 §17.2, RFC 8999 §5.1) to find the connection
// or decide on a Retry, without an exception or an allocation for junk. Decryption is the binding's.

/** First byte: set in every QUIC packet (RFC 9000 §17), and in those with a long header. */
export const FIXED_BIT = 0x40;
export const LONG_HEADER_BIT = 0x80;
export const QUIC_V1 = 0x0000_0001;
/** RFC 9000 §17.2: connection ids are at most 20 bytes in version 1. */
export const MAX_CID_BYTES = 20;
/** RFC 9000 §14.1: a client's Initial travels in a datagram of at least this size. */
export const MIN_INITIAL_BYTES = 1200;
/** RFC 9000 §7.2: a client makes up at least 8 unpredictable bytes as the first destination id. */
export const MIN_INITIAL_DCID_BYTES = 8;

export interface LongHeader {
  readonly version: number;
  /** Version 1 packet type: 0 Initial, 1 0-RTT, 2 Handshake, 3 Retry. */
  readonly type: number;
  readonly dcid: Buffer;
  readonly scid: Buffer;
  /** Of an Initial; empty otherwise. */
  readonly token: Buffer;
}

/** Views into `packet`, or undefined when it is no long header of a form we could answer. */
export const parseLongHeader = (packet: Buffer): LongHeader | undefined => {
  if (packet.length < 7 || (packet[0]! & 0x80) === 0) return undefined;
  const version = packet.readUInt32BE(1);
  const dcidEnd = 6 + packet[5]!;
  if (packet[5]! > MAX_CID_BYTES || packet.length <= dcidEnd) return undefined;
  const scidLength = packet[dcidEnd]!;
  const scidEnd = dcidEnd + 1 + scidLength;
  if (scidLength > MAX_CID_BYTES || packet.length < scidEnd) return undefined;
  const type = (packet[0]! >> 4) & 0x03;
  const token = version === QUIC_V1 && type === 0 ? readToken(packet, scidEnd) : packet.subarray(0, 0);
  if (!token) return undefined;
  return { version, type, dcid: packet.subarray(6, dcidEnd), scid: packet.subarray(dcidEnd + 1, scidEnd), token };
};

/** A varint length (RFC 9000 §16) and that many bytes; lengths of four bytes and up exceed any datagram. */
const readToken = (packet: Buffer, at: number): Buffer | undefined => {
  if (at >= packet.length) return undefined;
  const first = packet[at]!;
  if (first < 0x40) return slice(packet, at + 1, first);
  if (first >= 0x80 || at + 1 >= packet.length) return undefined;
  return slice(packet, at + 2, ((first & 0x3f) << 8) | packet[at + 1]!);
};

const slice = (packet: Buffer, start: number, length: number): Buffer | undefined =>
  start + length <= packet.length ? packet.subarray(start, start + length) : undefined;

/** RFC 8999 §5.1: one length byte at offset 5, then the id. Callers made sure of 17 bytes. */
export const longHeaderDestination = (packet: Buffer): string => packet.toString('latin1', 6, Math.min(6 + packet[5]!, packet.length));
