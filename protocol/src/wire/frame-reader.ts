// Length-prefixed frames out of a byte stream, fed in arbitrary chunks. Shared by control messages (u32),
// flow preambles (u16) and UDP payloads on a stream (u16). Owns reassembly and its memory bound: storage
// grows with the bytes received, never with the length announced. What a frame means is the codecs'.

import { ZtnaError } from '../errors.js';

export type Frame =
  | { readonly ok: true; readonly body: Uint8Array }
  /** The announced length exceeds the bound. The reader is finished: the stream cannot be followed any more. */
  | { readonly ok: false; readonly announced: number };

const EMPTY: Uint8Array = new Uint8Array(0);
/** Below this, growing costs more than it saves. */
const MIN_STORAGE_BYTES = 64;

/**
 * Feed one chunk, then call `next` until it gives undefined. The chunk is only borrowed until then; afterwards
 * at most one unfinished frame is held. Byte-at-a-time feeding costs O(n) thanks to doubling.
 */
export class FrameReader {
  readonly #prefixBytes: 2 | 4;
  readonly #maxBodyBytes: number;
  #chunk = EMPTY;
  #offset = 0;
  #length = 0;
  #prefixReceived = 0;
  #body = EMPTY;
  #received = 0;
  #finished = false;

  constructor(prefixBytes: 2 | 4, maxBodyBytes: number) {
    this.#prefixBytes = prefixBytes;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** True inside a frame: a stream that ends here was cut short. */
  get isPartial(): boolean {
    return this.#prefixReceived > 0;
  }

  /** @throws ZtnaError `decoder_not_drained` when the last chunk was not read to its end: the caller's fault. */
  push(chunk: Uint8Array): void {
    if (this.#finished) return;
    if (this.#offset < this.#chunk.length) {
      throw new ZtnaError('decoder_not_drained', 'push() before next() returned undefined; drain the decoder first');
    }
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** The next whole frame, in memory of its own, or undefined when another chunk is needed. */
  next(): Frame | undefined {
    while (this.#prefixReceived < this.#prefixBytes) {
      if (this.#offset === this.#chunk.length) return this.#release();
      this.#length = this.#length * 256 + this.#chunk[this.#offset]!;
      this.#offset += 1;
      this.#prefixReceived += 1;
    }
    if (this.#length > this.#maxBodyBytes) return this.#refuse();

    const missing = this.#length - this.#received;
    const taken = Math.min(missing, this.#chunk.length - this.#offset);
    this.#reserve(this.#received + taken);
    this.#body.set(this.#chunk.subarray(this.#offset, this.#offset + taken), this.#received);
    this.#offset += taken;
    this.#received += taken;
    if (taken < missing) return this.#release();

    const body = this.#body;
    this.#body = EMPTY;
    this.#received = this.#length = this.#prefixReceived = 0;
    return { ok: true, body };
  }

  /** What follows the last frame in the chunk being fed, as a view into it; the reader lets go of the chunk. */
  takeRest(): Uint8Array {
    const rest = this.#chunk.subarray(this.#offset);
    this.#release();
    return rest;
  }

  /** Copies what has not been read yet of the chunk being fed, whose owner may then use it anew. */
  keepRest(): void {
    if (this.#offset === this.#chunk.length) return void this.#release();
    this.#chunk = new Uint8Array(this.#chunk.subarray(this.#offset));
    this.#offset = 0;
  }

  /** Capacity never exceeds the frame's length, so that a complete frame fills its storage exactly. */
  #reserve(needed: number): void {
    if (needed <= this.#body.length) return;
    const grown = new Uint8Array(Math.min(this.#length, Math.max(needed, this.#body.length * 2, MIN_STORAGE_BYTES)));
    grown.set(this.#body.subarray(0, this.#received));
    this.#body = grown;
  }

  #release(): undefined {
    this.#chunk = EMPTY;
    this.#offset = 0;
    return undefined;
  }

  #refuse(): Frame {
    const announced = this.#length;
    this.#finished = true;
    this.#length = this.#prefixReceived = 0;
    this.#release();
    return { ok: false, announced };
  }
}
