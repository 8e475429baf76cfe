// CBOR maps in and out: cbor-x behind the guard, so that nothing untrusted reaches it unscanned and
// nothing leaves that a guarded peer would refuse. Owns the configuration of cbor-x and its gaps;
// framing and schemas are the codecs' (control-codec.ts, flow-preamble.ts).

// The `/encode` entry is cbor-x without its optional native string extractor: no C++ on untrusted bytes.
import { Encoder } from 'cbor-x/encode';
import { ZtnaError } from '../errors.js';
import { guardCbor, type CborFault } from './cbor-guard.js';

export type CborValue =
  | null | boolean | number | string | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue };
export type CborMap = Record<string, CborValue>;

export type CborMapResult =
  | { readonly ok: true; readonly map: CborMap }
  | { readonly ok: false; readonly reason: CborFault | 'not_a_map' | 'undecodable' };

/** `variableMapSize` is RFC 8949 §4.1 preferred serialization: shortest map headers instead of always 16 bits. */
const codec = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
  copyBuffers: true,
});

/**
 * Encodes a map in preferred serialization, keys in the object's own order; `undefined` values are left out.
 * Returns memory of its own.
 * @throws ZtnaError `cbor_unencodable` for what a guarded decoder would refuse (an unpaired surrogate, a leading
 *   byte order mark, nesting beyond the guard's bounds): a fault of the caller, never of a peer.
 */
export const encodeCborMap = (map: { readonly [key: string]: unknown }): Uint8Array => {
  const encoded = Uint8Array.from(codec.encode(prepare(map)) as Uint8Array);
  const guarded = guardCbor(encoded);
  if (!guarded.ok) throw unencodable(guarded.reason);
  return encoded;
};

/** Decodes exactly one map. Integers come back as numbers whatever their width, byte strings as copies. */
export const decodeCborMap = (bytes: Uint8Array): CborMapResult => {
  const guarded = guardCbor(bytes);
  if (!guarded.ok) return guarded;
  if (bytes[0]! >> 5 !== 5) return { ok: false, reason: 'not_a_map' };
  try {
    // A plain view: given a Buffer, cbor-x would hand out Buffers. It also writes a property onto its source.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    return { ok: true, map: settle(codec.decode(view)) as CborMap };
  } catch {
    // The guard admits nothing that cbor-x refuses; if the two ever disagree, it is still the peer's message.
    return { ok: false, reason: 'undecodable' };
  }
};

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Closes cbor-x's gaps: integers beyond 32 bits would become floats, and lone surrogates U+FFFD or invalid UTF-8. */
const prepare = (value: unknown): unknown => {
  switch (typeof value) {
    case 'string':
      if (LONE_SURROGATE.test(value)) throw unencodable('unpaired surrogate');
      return value;
    case 'number':
      return Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x1_0000_0000) ? BigInt(value) : value;
    case 'boolean':
      return value;
    case 'object':
      if (value === null || value instanceof Uint8Array) return value;
      if (Array.isArray(value)) return value.map(prepare);
      return Object.fromEntries(
        Object.entries(value).flatMap(([key, item]) =>
          item === undefined ? [] : [[prepare(key) as string, prepare(item)]]),
      );
    default:
      throw unencodable(typeof value);
  }
};

/** cbor-x gives 64-bit integers as bigint; the guard has seen to it that a number holds them exactly. */
const settle = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(settle);
  const map = value as Record<string, unknown>;
  for (const key of Object.keys(map)) map[key] = settle(map[key]);
  return map;
};

const unencodable = (what: string): ZtnaError =>
  new ZtnaError(
    'cbor_unencodable',
    `cannot encode as CBOR: ${what}; send plain maps, arrays, numbers, booleans, bytes and well-formed text`,
  );
