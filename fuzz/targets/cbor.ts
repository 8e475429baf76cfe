// The strict scan and cbor-x behind it: what passes decodes, to plain data, and encodes to itself.

import { decodeCborMap, encodeCborMap, guardCbor, type CborValue } from '@ztna/protocol';
import { CBOR_WORDS, controlFrames } from './support/control-examples.js';
import { hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { sameValue } from './support/same-value.js';

const isPlain = (value: CborValue): boolean => {
  if (value === null || ['boolean', 'number', 'string'].includes(typeof value)) return true;
  if (value instanceof Uint8Array) return Object.getPrototypeOf(value) === Uint8Array.prototype;
  if (Array.isArray(value)) return (value as CborValue[]).every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
};

export const target: FuzzTarget = {
  decodes: 'guardCbor, decodeCborMap',
  maxBytes: 8192,
  memory: { base: 65_536, perByte: 640 },
  dictionary: CBOR_WORDS,
  *seeds() {
    for (const frame of controlFrames()) yield frame.subarray(4);
    yield hex('a0');
    yield hex('a161618181818181818101');
    yield hex('a16161fb7ff8000000000000');
    yield hex('a1616140');
  },
  run(input) {
    const guarded = guardCbor(input);
    const decoded = decodeCborMap(input);
    if (!decoded.ok) {
      ensure(decoded.reason !== 'undecodable', 'the guard admitted what cbor-x refuses');
      ensure(guarded.ok ? decoded.reason === 'not_a_map' : guarded.reason === decoded.reason, 'guard and decoder disagree');
      return decoded.reason;
    }
    ensure(guarded.ok && isPlain(decoded.map), 'decoded to something that is not plain data');
    const encoded = encodeCborMap(decoded.map);
    ensure(encoded.length <= input.length + 8 * countFloats(decoded.map), 'the preferred form is longer');
    const again = decodeCborMap(encoded);
    ensure(again.ok && sameValue(again.map, decoded.map), 'encoding again reads as something else');
    return decoded.map;
  },
};

/** cbor-x writes every float in 64 bits; the input may have had 16. */
const countFloats = (value: CborValue): number => {
  if (typeof value === 'number') return 1;
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return 0;
  return Object.values(value as Record<string, CborValue>).reduce<number>((sum, item) => sum + countFloats(item), 0);
};
