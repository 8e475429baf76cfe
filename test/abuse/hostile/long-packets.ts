// Long-header packets as an attacker builds them (RFC 9000 §17.2): right in form, noise inside. And the
// little it reads of the answers.

import { randomBytes } from 'node:crypto';

export interface InitialInit {
  readonly token?: Uint8Array;
  readonly dcid?: Uint8Array;
  readonly version?: number;
  /** Bytes of the packet; default 1200. */
  readonly size?: number;
  /** The token's length as the packet says it, encoded as told, in place of the token's own. */
  readonly tokenLength?: Uint8Array;
}

/** An Initial with a body of random bytes. */
export const noiseInitial = ({ token = new Uint8Array(0), dcid = randomBytes(8), version = 1, size = 1200, tokenLength }: InitialInit = {}): Buffer => {
  const versionBytes = Buffer.alloc(4);
  versionBytes.writeUInt32BE(version);
  const length = tokenLength ?? Buffer.of(0x40 | (token.length >> 8), token.length & 0xff);
  const head = Buffer.concat([Buffer.of(0xc0), versionBytes, Buffer.of(dcid.length), dcid, Buffer.of(8), randomBytes(8), length, token, Buffer.of(0x44, 0x80)]);
  return head.length >= size ? Buffer.from(head.subarray(0, size)) : Buffer.concat([head, randomBytes(size - head.length)]);
};

export interface Retry {
  /** The relay's connection id: the destination of the Initial that brings the token. */
  readonly scid: Buffer;
  readonly token: Buffer;
}

/** A Retry taken apart, or undefined for any other packet. */
export const readRetry = (packet: Buffer): Retry | undefined => {
  if (!isRetry(packet)) return undefined;
  const scidAt = 6 + packet[5]! + 1;
  const scidEnd = scidAt + packet[scidAt - 1]!;
  return { scid: Buffer.from(packet.subarray(scidAt, scidEnd)), token: Buffer.from(packet.subarray(scidEnd, -16)) };
};

export const isRetry = (packet: Buffer): boolean => (packet[0]! & 0xf0) === 0xf0 && packet.readUInt32BE(1) === 1;
export const isVersionNegotiation = (packet: Buffer): boolean => (packet[0]! & 0x80) !== 0 && packet.readUInt32BE(1) === 0;
