// A strict scan of untrusted CBOR (RFC 8949) before cbor-x sees it. What passes is plain JSON-like data:
// definite lengths, integers a number can hold, valid UTF-8, maps with unique text keys. Records, tags,
// bignums, dates, regular expressions, shared references: none of cbor-x's extensions is reachable.
// Iterative, no allocation that grows with the input, work linear in it. Owns form; meaning is the schema's.

import { isUtf8 } from 'node:buffer';

/** Containers inside containers. Control messages need 2. */
export const MAX_CBOR_DEPTH = 8;
/** Keys, values and elements, containers included. The largest message, 64 services, has under 80. */
export const MAX_CBOR_ITEMS = 4096;
/** Per map. Bounds the comparison of keys at 64 × the input's bytes; our largest map has 6. */
export const MAX_CBOR_KEYS = 64;

export type CborFault =
  | 'truncated'
  | 'trailing_bytes'
  | 'indefinite_length'
  | 'reserved_encoding'
  | 'tag'
  | 'simple_value'
  | 'integer_out_of_range'
  | 'length_beyond_input'
  | 'too_deep'
  | 'too_many_items'
  | 'too_many_keys'
  | 'key_not_text'
  | 'key_duplicate'
  | 'key_forbidden'
  | 'text_not_utf8'
  | 'text_byte_order_mark';

export type CborGuardResult = { readonly ok: true } | { readonly ok: false; readonly reason: CborFault };

/** Whether `bytes` is exactly one acceptable item. Never throws. */
export const guardCbor = (bytes: Uint8Array): CborGuardResult => {
  const reason = scan(bytes);
  return reason === undefined ? PASSED : { ok: false, reason };
};

const PASSED = { ok: true } as const;

/** RFC 8949 §3.1. */
const Major = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;

// Scratch, one entry per open container; level 0 stands for the input itself. Safe to share because a
// scan runs to its end synchronously and leaves nothing that the next one reads.
const LEVELS = MAX_CBOR_DEPTH + 1;
const remaining = new Int32Array(LEVELS);
const keysSeen = new Int32Array(LEVELS);
const keyStarts = new Int32Array(LEVELS * MAX_CBOR_KEYS);
const keyEnds = new Int32Array(LEVELS * MAX_CBOR_KEYS);
const NOT_A_MAP = -1;

const scan = (bytes: Uint8Array): CborFault | undefined => {
  let offset = 0;
  let items = 0;
  let depth = 0;
  remaining[0] = 1;
  keysSeen[0] = NOT_A_MAP;

  for (;;) {
    while (remaining[depth] === 0) {
      if (depth === 0) return offset === bytes.length ? undefined : 'trailing_bytes';
      depth -= 1;
    }
    remaining[depth]! -= 1;
    if (offset >= bytes.length) return 'truncated';
    items += 1;
    if (items > MAX_CBOR_ITEMS) return 'too_many_items';

    const initial = bytes[offset]!;
    const major = initial >> 5;
    const info = initial & 0x1f;
    if (major === Major.tag) return 'tag';
    if (info === 31) return 'indefinite_length';
    if (info > 27) return 'reserved_encoding';
    // A map of n pairs counts down from 2n: an odd number left means that this item is a key.
    const isKey = keysSeen[depth] !== NOT_A_MAP && (remaining[depth]! & 1) === 1;
    if (isKey && major !== Major.text) return 'key_not_text';

    const width = info < 24 ? 0 : 1 << (info - 24);
    const start = offset + 1 + width;
    if (start > bytes.length) return 'truncated';
    if (major === Major.simple) {
      // false, true, null, and floats of 16, 32 and 64 bits; not undefined, not the unassigned ones
      if (!(info >= 20 && info <= 22) && width < 2) return 'simple_value';
      offset = start;
      continue;
    }
    const argument = width === 0 ? info : readArgument(bytes, offset + 1, width);
    offset = start;
    const left = bytes.length - start;

    switch (major) {
      case Major.unsigned:
      case Major.negative:
        if (argument > Number.MAX_SAFE_INTEGER) return 'integer_out_of_range';
        break;
      case Major.bytes:
        if (argument > left) return 'length_beyond_input';
        offset += argument;
        break;
      case Major.text: {
        if (argument > left) return 'length_beyond_input';
        offset += argument;
        const fault = checkText(bytes, start, offset) ?? (isKey ? noteKey(bytes, depth, start, offset) : undefined);
        if (fault !== undefined) return fault;
        break;
      }
      case Major.array:
      case Major.map: {
        const isMap = major === Major.map;
        const children = isMap ? argument * 2 : argument;
        // Every child takes a byte at least, so a count beyond the input can be refused unread.
        if (children > left) return 'length_beyond_input';
        if (isMap && argument > MAX_CBOR_KEYS) return 'too_many_keys';
        if (depth === MAX_CBOR_DEPTH) return 'too_deep';
        depth += 1;
        remaining[depth] = children;
        keysSeen[depth] = isMap ? 0 : NOT_A_MAP;
        break;
      }
    }
  }
};

/** Big-endian, 1 to 8 bytes. Above 2^53 the result is rounded, which the range and length checks tolerate. */
const readArgument = (bytes: Uint8Array, offset: number, width: number): number => {
  let value = 0;
  for (let index = offset; index < offset + width; index += 1) value = value * 256 + bytes[index]!;
  return value;
};

const checkText = (bytes: Uint8Array, start: number, end: number): CborFault | undefined => {
  let ascii = start;
  while (ascii < end && bytes[ascii]! < 0x80) ascii += 1;
  if (ascii === end) return undefined;
  if (!isUtf8(bytes.subarray(ascii, end))) return 'text_not_utf8';
  // TextDecoder, which cbor-x uses for longer texts, drops a leading U+FEFF: two encodings, one string.
  if (ascii === start && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
    return 'text_byte_order_mark';
  }
  return undefined;
};

const PROTO = Uint8Array.from('__proto__', (character) => character.charCodeAt(0));

const noteKey = (bytes: Uint8Array, depth: number, start: number, end: number): CborFault | undefined => {
  if (sameBytes(bytes, start, end, PROTO, 0, PROTO.length)) return 'key_forbidden';
  const first = depth * MAX_CBOR_KEYS;
  const next = first + keysSeen[depth]!;
  for (let index = first; index < next; index += 1) {
    if (sameBytes(bytes, start, end, bytes, keyStarts[index]!, keyEnds[index]!)) return 'key_duplicate';
  }
  keyStarts[next] = start;
  keyEnds[next] = end;
  keysSeen[depth]! += 1;
  return undefined;
};

const sameBytes = (
  left: Uint8Array, leftStart: number, leftEnd: number,
  right: Uint8Array, rightStart: number, rightEnd: number,
): boolean => {
  if (leftEnd - leftStart !== rightEnd - rightStart) return false;
  for (let index = 0; index < leftEnd - leftStart; index += 1) {
    if (left[leftStart + index] !== right[rightStart + index]) return false;
  }
  return true;
};
