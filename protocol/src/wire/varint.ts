// QUIC variable-length integers (RFC 9000 §16): the two high bits of the first byte say 1, 2, 4 or 8 bytes.
// Limited to what a number holds exactly, 2^53 − 1, well beyond any stream id in use.

import { ZtnaError } from '../errors.js';

/** Bytes the shortest encoding takes: 1, 2, 4 or 8. */
export const varintLength = (value: number): number => (value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000_0000 ? 4 : 8);

/**
 * Writes the shortest encoding at the start of `target` and returns its length.
 * @throws ZtnaError `varint_out_of_range` unless 0 ≤ value ≤ 2^53 − 1, whole: the caller's fault.
 */
export const writeVarint = (target: Uint8Array, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ZtnaError('varint_out_of_range', `${value} is not a whole number from 0 to 2^53 - 1`);
  }
  const length = varintLength(value);
  let rest = value;
  for (let index = length - 1; index >= 0; index -= 1) {
    target[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  target[0]! |= Math.log2(length) << 6;
  return length;
};

/** How many bytes the varint that starts with `first` takes. */
export const varintLengthFrom = (first: number): number => 1 << (first >> 6);

/** Reads from the start of `bytes`; any of the four lengths is legal for any value that fits it. */
export const readVarint = (bytes: Uint8Array): number | 'varint_truncated' | 'varint_out_of_range' => {
  const first = bytes[0];
  if (first === undefined) return 'varint_truncated';
  const length = varintLengthFrom(first);
  if (bytes.length < length) return 'varint_truncated';
  let value = first & 0x3f;
  for (let index = 1; index < length; index += 1) value = value * 256 + bytes[index]!;
  return value > Number.MAX_SAFE_INTEGER ? 'varint_out_of_range' : value;
};
