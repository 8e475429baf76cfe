// QUIC frames as an attacker writes them (RFC 9000 §19), right in form, whatever they say.

/** RFC 9000 §16. */
export const varint = (value: number): Buffer => {
  if (value < 0x40) return Buffer.of(value);
  if (value < 0x4000) return Buffer.of(0x40 | (value >> 8), value & 0xff);
  const bytes = Buffer.alloc(value < 0x4000_0000 ? 4 : 8);
  if (bytes.length === 4) bytes.writeUInt32BE((0x8000_0000 + value) >>> 0);
  else bytes.writeBigUInt64BE(0xc000_0000_0000_0000n | BigInt(value));
  return bytes;
};

const frame = (type: number, ...parts: readonly (Uint8Array | number)[]): Buffer =>
  Buffer.concat([varint(type), ...parts.map((part) => (typeof part === 'number' ? varint(part) : part))]);

export const stream = (id: number, offset: number, data: Uint8Array): Buffer => frame(0x0e, id, offset, data.length, data);
export const crypto = (offset: number, data: Uint8Array): Buffer => frame(0x06, offset, data.length, data);
export const newConnectionId = (sequence: number, retirePriorTo: number, id: Uint8Array, resetToken: Uint8Array): Buffer =>
  frame(0x18, sequence, retirePriorTo, Buffer.of(id.length), id, resetToken);
export const retireConnectionId = (sequence: number): Buffer => frame(0x19, sequence);
export const pathChallenge = (data: Uint8Array): Buffer => frame(0x1a, data);
/** Acknowledges everything up to `largest`. */
export const ack = (largest: number): Buffer => frame(0x02, largest, 0, 0, largest);
export const maxData = (value: number): Buffer => frame(0x10, value);
export const handshakeDone = (): Buffer => frame(0x1e);
export const ping = (): Buffer => frame(0x01);
/** A type nobody has assigned. */
export const unknownFrame = (): Buffer => frame(0x3fff);
