// UDP flows inside the inner connection (docs/wire-format.md). A payload travels in a QUIC DATAGRAM, in front
// of it the id of the stream that opened the flow; one too large for that goes on the stream itself behind
// a u16 length. Owns both forms; which one fits, and whose stream it is, is the flow's.

import { ZtnaError } from '../errors.js';
import { FrameReader } from './frame-reader.js';
import { readVarint, varintLength, varintLengthFrom, writeVarint } from './varint.js';

/** What a u16 length can say; UDP itself ends at 65 527 (RFC 768, IPv6). */
export const MAX_UDP_PAYLOAD_BYTES = 0xffff;
const LENGTH_BYTES = 2;

export type UdpDatagram =
  | { readonly ok: true; readonly streamId: number; readonly payload: Uint8Array }
  | { readonly ok: false; readonly reason: 'varint_truncated' | 'varint_out_of_range' };

/** Bytes a datagram spends on the flow's id; payload + this must be within the inner datagram capacity. */
export const udpDatagramOverhead = (streamId: number): number => varintLength(streamId);

/** @throws ZtnaError `varint_out_of_range` for an impossible stream id: the caller's fault. */
export const packUdpDatagram = (streamId: number, payload: Uint8Array): Uint8Array => {
  const prefix = varintLength(streamId);
  const datagram = new Uint8Array(prefix + payload.length);
  writeVarint(datagram, streamId);
  datagram.set(payload, prefix);
  return datagram;
};

/** The payload is a view into `bytes`, and may be empty: an empty UDP datagram is a datagram. */
export const parseUdpDatagram = (bytes: Uint8Array): UdpDatagram => {
  const streamId = readVarint(bytes);
  if (typeof streamId === 'string') return { ok: false, reason: streamId };
  return { ok: true, streamId, payload: bytes.subarray(varintLengthFrom(bytes[0]!)) };
};

/** The form on the stream. @throws ZtnaError `udp_payload_too_large` beyond 65 535 bytes: the caller's fault. */
export const packUdpFrame = (payload: Uint8Array): Uint8Array => {
  if (payload.length > MAX_UDP_PAYLOAD_BYTES) {
    throw new ZtnaError('udp_payload_too_large', `UDP payload of ${payload.length} bytes; at most ${MAX_UDP_PAYLOAD_BYTES} fit a frame`);
  }
  const frame = new Uint8Array(LENGTH_BYTES + payload.length);
  new DataView(frame.buffer).setUint16(0, payload.length);
  frame.set(payload, LENGTH_BYTES);
  return frame;
};

/**
 * Payloads out of the stream form: `push` a chunk, then `next` until undefined. No input is a fault; memory is
 * bounded by one payload, and grows with what was received.
 */
export class UdpFrameDecoder {
  readonly #frames = new FrameReader(LENGTH_BYTES, MAX_UDP_PAYLOAD_BYTES);

  /** True inside a frame: a stream that ends here lost part of a payload. */
  get isPartial(): boolean {
    return this.#frames.isPartial;
  }

  /** Borrows `chunk` until `next` gives undefined. @throws ZtnaError `decoder_not_drained` before that: the caller's fault. */
  push(chunk: Uint8Array): void {
    this.#frames.push(chunk);
  }

  /** The next payload, in memory of its own. */
  next(): Uint8Array | undefined {
    const frame = this.#frames.next();
    return frame?.ok ? frame.body : undefined;
  }
}
