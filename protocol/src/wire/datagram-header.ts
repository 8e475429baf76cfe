// The 16 bytes in front of every relayed datagram (design §3, drawn in docs/wire-format.md).
// Two codecs: in-place functions for the hot path, which allocate nothing and read a reused buffer, and
// a plain encode/decode pair for tests and tools. A property test holds them equal.
// What a slot or tag means, and whether the sender owns it, is the relay machine's.

/**
 * `0e 'Z' 'T' 'N'`. On a UDP port shared by several protocols the first byte decides (RFC 9443 §3):
 * 0–3 STUN, 4–15 nobody, 16–19 ZRTP, 20–63 DTLS, 64–79 TURN channels, 80–127 and 192–255 QUIC, 128–191 RTP.
 * 14 lies in the one unassigned range, clear of its edges and of WireGuard's type byte 4, and below
 * 0x40, so QUIC's fixed bit and long-header bit are both zero (RFC 9000 §17).
 */
export const ZTNA_MAGIC = Uint8Array.of(0x0e, 0x5a, 0x54, 0x4e);
/** magic 4 + version 1 + type 1 + reserved 2 + slot 4 + tag 4. */
export const HEADER_BYTES = 16;
export const DATAGRAM_VERSION = 1;

export const DatagramType = { data: 0, keepalive: 1, keepaliveAck: 2 } as const;
export type DatagramType = (typeof DatagramType)[keyof typeof DatagramType];

/** What can be wrong with a header by itself; a subset of `DropReason`. */
export type DatagramFault = 'header_too_short' | 'bad_magic' | 'bad_version' | 'bad_type' | 'reserved_bits_set';

export interface DatagramHeader {
  readonly type: DatagramType;
  /** u32: index into the relay's session table. */
  readonly slot: number;
  /** u32: random, guards against stale or guessed slots. */
  readonly tag: number;
}

/**
 * The first fault of the header at the start of `buffer`, or undefined. Call before any `read…`.
 * `length` is how many bytes were received into the (larger, reused) buffer.
 */
export const checkHeader = (buffer: Uint8Array, length: number): DatagramFault | undefined => {
  if (length < HEADER_BYTES) return 'header_too_short';
  if (buffer[0] !== 0x0e || buffer[1] !== 0x5a || buffer[2] !== 0x54 || buffer[3] !== 0x4e) return 'bad_magic';
  if (buffer[4] !== DATAGRAM_VERSION) return 'bad_version';
  if (buffer[5]! > DatagramType.keepaliveAck) return 'bad_type';
  if (buffer[6] !== 0 || buffer[7] !== 0) return 'reserved_bits_set';
  return undefined;
};

/** Only after `checkHeader` found no fault. */
export const readType = (buffer: Uint8Array): DatagramType => buffer[5] as DatagramType;

/** Only after `checkHeader` found no fault. */
export const readSlot = (buffer: Uint8Array): number => readU32(buffer, 8);

/** Only after `checkHeader` found no fault. */
export const readTag = (buffer: Uint8Array): number => readU32(buffer, 12);

/** Turns a datagram of one session end into one of the other, in place; everything else stays as it was. */
export const rewriteSession = (buffer: Uint8Array, slot: number, tag: number): void => {
  writeU32(buffer, 8, slot);
  writeU32(buffer, 12, tag);
};

/** Writes a whole header at the start of `buffer`, which holds at least HEADER_BYTES; the payload goes after it. */
export const writeHeader = (buffer: Uint8Array, type: DatagramType, slot: number, tag: number): void => {
  buffer[0] = 0x0e;
  buffer[1] = 0x5a;
  buffer[2] = 0x54;
  buffer[3] = 0x4e;
  buffer[4] = DATAGRAM_VERSION;
  buffer[5] = type;
  buffer[6] = 0;
  buffer[7] = 0;
  rewriteSession(buffer, slot, tag);
};

/** The plain twin of `writeHeader`. */
export const encodeHeader = (header: DatagramHeader): Uint8Array => {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(ZTNA_MAGIC);
  view.setUint8(4, DATAGRAM_VERSION);
  view.setUint8(5, header.type);
  view.setUint32(8, header.slot);
  view.setUint32(12, header.tag);
  return bytes;
};

/** The plain twin of `checkHeader` and the readers. Bytes after the header are the payload and not looked at. */
export const decodeHeader = (
  bytes: Uint8Array,
): { ok: true; header: DatagramHeader } | { ok: false; reason: DatagramFault } => {
  if (bytes.length < HEADER_BYTES) return { ok: false, reason: 'header_too_short' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (!ZTNA_MAGIC.every((byte, index) => view.getUint8(index) === byte)) return { ok: false, reason: 'bad_magic' };
  if (view.getUint8(4) !== DATAGRAM_VERSION) return { ok: false, reason: 'bad_version' };
  const type = Object.values(DatagramType).find((known) => known === view.getUint8(5));
  if (type === undefined) return { ok: false, reason: 'bad_type' };
  if (view.getUint16(6) !== 0) return { ok: false, reason: 'reserved_bits_set' };
  return { ok: true, header: { type, slot: view.getUint32(8), tag: view.getUint32(12) } };
};

const readU32 = (buffer: Uint8Array, offset: number): number =>
  ((buffer[offset]! << 24) | (buffer[offset + 1]! << 16) | (buffer[offset + 2]! << 8) | buffer[offset + 3]!) >>> 0;

const writeU32 = (buffer: Uint8Array, offset: number, value: number): void => {
  buffer[offset] = value >>> 24;
  buffer[offset + 1] = value >>> 16;
  buffer[offset + 2] = value >>> 8;
  buffer[offset + 3] = value;
};
