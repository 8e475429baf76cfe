// Content for transfers: a keystream per seed, so that lost, repeated, swapped or crossed bytes
// always show, and no two flows carry the same.

import { createCipheriv, createHash, type Cipher } from 'node:crypto';
import { Readable } from 'node:stream';

const CHUNK_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** `bytes` of the seed's pattern, in chunks of up to 64 KiB. */
export function* patternChunks(seed: number, bytes: number): Generator<Buffer, void, undefined> {
  const cipher = keystream(seed);
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) yield cipher.update(left < CHUNK_BYTES ? ZEROS.subarray(0, left) : ZEROS);
}

/** Compares what comes in, in pieces of any size, with the seed's pattern. */
export class PatternCheck {
  /** Bytes that came and were right. */
  good = 0;
  readonly #cipher: Cipher;

  constructor(seed: number) {
    this.#cipher = keystream(seed);
  }

  /** False from the first wrong byte on; `good` says where it was. */
  accept(chunk: Buffer): boolean {
    for (let offset = 0; offset < chunk.length; offset += CHUNK_BYTES) {
      const piece = chunk.subarray(offset, offset + CHUNK_BYTES);
      const wanted = this.#cipher.update(ZEROS.subarray(0, piece.length));
      if (!piece.equals(wanted)) {
        this.good += piece.findIndex((byte, index) => byte !== wanted[index]);
        return false;
      }
      this.good += piece.length;
    }
    return true;
  }
}

const keystream = (seed: number): Cipher => {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
};

export const patternBytes = (seed: number, bytes: number): Buffer => Buffer.concat([...patternChunks(seed, bytes)]);

export const patternStream = (seed: number, bytes: number): Readable => Readable.from(patternChunks(seed, bytes), { objectMode: false, highWaterMark: CHUNK_BYTES });

/** SHA-256 of the pattern, hex. */
export const patternDigest = (seed: number, bytes: number): string => {
  const hash = createHash('sha256');
  for (const chunk of patternChunks(seed, bytes)) hash.update(chunk);
  return hash.digest('hex');
};

/** SHA-256 and length of what it is fed. */
export class Digest {
  bytes = 0;
  readonly #hash = createHash('sha256');

  readonly update = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  };

  /** Hex; ends the digest. */
  value(): string {
    return this.#hash.digest('hex');
  }
}
