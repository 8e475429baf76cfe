// Cutting a stream's bytes up the way a network would. The cuts come out of the bytes themselves, so that
// the same input is always cut the same way.

/** A small start with its own cuts, then pieces of 1 to 64 bytes. */
export const chunksOf = (bytes: Uint8Array): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  let state = bytes.length;
  for (let at = 0; at < bytes.length; ) {
    state = (Math.imul(state, 1_103_515_245) + bytes[at]! + 12_345) >>> 0;
    const length = Math.min(bytes.length - at, 1 + (state >>> 26));
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
};

/** All of a decoder's results for these chunks. Every chunk is overwritten once it is drained: it was only borrowed. */
export const drain = <T>(decoder: { push(chunk: Uint8Array): void; next(): T | undefined }, chunks: readonly Uint8Array[]): T[] => {
  const results: T[] = [];
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    decoder.push(borrowed);
    for (let result; (result = decoder.next()) !== undefined; ) results.push(result);
    borrowed.fill(0xee);
  }
  return results;
};

export const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
export const hex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, 'hex'));
export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const equal = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0;
/** A Buffer over the same memory, for decoders that ask for one. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
