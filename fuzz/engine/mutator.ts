// New inputs out of old ones. Blind to what the bytes mean, but for numbers that often matter, words of the
// target's dictionary, and fields that look like the length of what follows. Randomness comes in: the same
// seed makes the same inputs.

/** Lengths, bounds and sign bits. */
const INTERESTING = [0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 512, 1024, 4096, 8192, 32767, 32768, 65535, 65536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

export interface MutatorInit {
  /** In [0, 1). */
  readonly random: () => number;
  readonly maxBytes: number;
  readonly dictionary: readonly Uint8Array[];
}

type Mutation = (bytes: Uint8Array) => Uint8Array;

export class Mutator {
  readonly #init: MutatorInit;
  readonly #mutations: readonly Mutation[];

  constructor(init: MutatorInit) {
    this.#init = init;
    const blind: Mutation[] = [
      (bytes) => this.#changeByte(bytes, (byte) => byte ^ (1 << this.#below(8))),
      (bytes) => this.#changeByte(bytes, () => this.#below(256)),
      (bytes) => this.#changeByte(bytes, (byte) => byte + this.#below(9) - 4),
      (bytes) => this.#writeNumber(bytes, INTERESTING[this.#below(INTERESTING.length)]!),
      (bytes) => this.#writeLength(bytes),
      (bytes) => this.#remove(bytes),
      (bytes) => this.#insert(bytes, Uint8Array.from({ length: 1 + this.#below(8) }, () => this.#below(256))),
      (bytes) => this.#insert(bytes, this.#slice(bytes)),
      (bytes) => this.#repeat(bytes),
      (bytes) => this.#overwrite(bytes, this.#slice(bytes)),
      (bytes) => bytes.slice(0, this.#below(bytes.length + 1)),
    ];
    const words: Mutation[] = [(bytes) => this.#insert(bytes, this.#word()), (bytes) => this.#overwrite(bytes, this.#word()), (bytes) => this.#replaceWord(bytes)];
    this.#mutations = init.dictionary.length > 0 ? [...blind, ...words, ...words] : blind;
  }

  /** A changed copy of `parent`, sometimes with a part of `other`; at most `maxBytes` long. */
  mutate(parent: Uint8Array, other: Uint8Array): Uint8Array {
    let bytes: Uint8Array = parent.slice();
    if (this.#below(8) === 0) bytes = this.#splice(bytes, other);
    // Often one change, which spoils nothing that was right, and sometimes many.
    for (let rounds = this.#below(2) === 0 ? 1 : 1 << this.#below(5); rounds > 0; rounds--) bytes = this.#mutations[this.#below(this.#mutations.length)]!(bytes);
    return bytes.length > this.#init.maxBytes ? bytes.slice(0, this.#init.maxBytes) : bytes;
  }

  #below(bound: number): number {
    return Math.floor(this.#init.random() * bound);
  }

  #word(): Uint8Array {
    return this.#init.dictionary[this.#below(this.#init.dictionary.length)]!;
  }

  #changeByte(bytes: Uint8Array, change: (byte: number) => number): Uint8Array {
    if (bytes.length > 0) {
      const at = this.#below(bytes.length);
      bytes[at] = change(bytes[at]!);
    }
    return bytes;
  }

  #writeNumber(bytes: Uint8Array, value: number): Uint8Array {
    const width = 1 << this.#below(3);
    if (bytes.length < width) return bytes;
    const at = this.#below(bytes.length - width + 1);
    for (let index = 0; index < width; index++) bytes[at + index] = Math.floor(value / 256 ** (width - 1 - index));
    return bytes;
  }

  /** What follows, or one more or less: in one, two or four bytes. */
  #writeLength(bytes: Uint8Array): Uint8Array {
    const width = 1 << this.#below(3);
    if (bytes.length < width) return bytes;
    const at = this.#below(bytes.length - width + 1);
    const value = bytes.length - at - width + this.#below(3) - 1;
    for (let index = 0; index < width; index++) bytes[at + index] = Math.floor(value / 256 ** (width - 1 - index));
    return bytes;
  }

  #slice(bytes: Uint8Array): Uint8Array {
    const from = this.#below(bytes.length);
    return bytes.slice(from, from + 1 + this.#below(Math.min(64, bytes.length - from)));
  }

  #remove(bytes: Uint8Array): Uint8Array {
    const from = this.#below(bytes.length);
    return join(bytes.subarray(0, from), bytes.subarray(from + 1 + this.#below(Math.min(32, bytes.length - from))));
  }

  #insert(bytes: Uint8Array, part: Uint8Array): Uint8Array {
    const at = this.#below(bytes.length + 1);
    return join(bytes.subarray(0, at), part, bytes.subarray(at));
  }

  #overwrite(bytes: Uint8Array, part: Uint8Array): Uint8Array {
    if (part.length > bytes.length) return bytes;
    bytes.set(part, this.#below(bytes.length - part.length + 1));
    return bytes;
  }

  /** One word of the dictionary where another was. */
  #replaceWord(bytes: Uint8Array): Uint8Array {
    const old = this.#word();
    const at = old.length === 0 ? -1 : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(old);
    return at < 0 ? bytes : join(bytes.subarray(0, at), this.#word(), bytes.subarray(at + old.length));
  }

  /** A part of it many times over: depth, counts and quadratic work. */
  #repeat(bytes: Uint8Array): Uint8Array {
    const part = this.#slice(bytes);
    const times = Math.min(1 << this.#below(11), Math.floor((this.#init.maxBytes - bytes.length) / Math.max(1, part.length)));
    return times < 1 ? bytes : this.#insert(bytes, join(...Array.from({ length: times }, () => part)));
  }

  #splice(bytes: Uint8Array, other: Uint8Array): Uint8Array {
    return join(bytes.subarray(0, this.#below(bytes.length + 1)), other.subarray(this.#below(other.length + 1)));
  }
}

const join = (...parts: Uint8Array[]): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};
