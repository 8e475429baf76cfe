// Hostile CBOR by name, then properties: the guard never throws, what it passes decodes, what we encode passes.

import fc from 'fast-check';
import t from 'tap';
import {
  clipText, decodeCborMap, encodeCborMap, guardCbor, MAX_CBOR_DEPTH, MAX_CBOR_ITEMS, MAX_CBOR_KEYS, ZtnaError,
  type CborValue,
} from '@ztna/protocol';
import { bytes, text } from './wire-arbitraries.js';

const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'));

const key = text(12).filter((value) => value !== '__proto__');
const { map } = fc.letrec<{ value: CborValue; map: Record<string, CborValue> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.oneof(
      fc.constant(null), fc.boolean(), fc.maxSafeInteger(), fc.integer(), text(100), bytes(40),
      fc.double({ noNaN: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
    ),
    fc.array(tie('value'), { maxLength: 5 }),
    tie('map'),
  ),
  map: fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
}));

void t.test('refuses, each with its own reason', async (t) => {
  const nested = (levels: number): string => '81'.repeat(levels) + '00';
  const keys = (count: number): string => Array.from({ length: count }, (_, index) => `62${hexKey(index)}00`).join('');
  const cases: [title: string, input: string, reason: string][] = [
    ['nothing at all', '', 'truncated'],
    ['an argument cut short', '19 01', 'truncated'],
    ['an 8-byte argument cut short', '1b 00000000000000', 'truncated'],
    ['a float cut short', 'fb 0000', 'truncated'],
    ['an array cut short after its first element', '82 19 0001', 'truncated'],
    ['a second item', '00 00', 'trailing_bytes'],
    ['one byte after a map', 'a1 6161 00 00', 'trailing_bytes'],
    ['an indefinite byte string', '5f 4100 ff', 'indefinite_length'],
    ['an indefinite text', '7f 6161 ff', 'indefinite_length'],
    ['an indefinite array', '9f 00 ff', 'indefinite_length'],
    ['an indefinite map', 'bf 6161 00 ff', 'indefinite_length'],
    ['a break on its own', 'ff', 'indefinite_length'],
    ['additional information 28', '1c', 'reserved_encoding'],
    ['additional information 30', 'fe', 'reserved_encoding'],
    ['a date', 'c0 6161', 'tag'],
    ['a positive bignum', 'a1 6161 c2 41ff', 'tag'],
    ['a negative bignum', 'a1 6161 c3 41ff', 'tag'],
    ['a record of cbor-x', 'd9dfff 82 19e000 8161 61', 'tag'],
    ['a set, tag 258', 'd90102 80', 'tag'],
    ['a tag as a key', 'a1 c0 6161 00', 'tag'],
    ['undefined', 'a1 6161 f7', 'simple_value'],
    ['simple value 0', 'e0', 'simple_value'],
    ['simple value 19', 'f3', 'simple_value'],
    ['a one-byte simple value', 'f8 ff', 'simple_value'],
    ['2^53', '1b 0020000000000000', 'integer_out_of_range'],
    ['2^64 - 1', '1b ffffffffffffffff', 'integer_out_of_range'],
    ['-2^64', '3b ffffffffffffffff', 'integer_out_of_range'],
    ['a byte string of 2^32 bytes', '5b 0000000100000000', 'length_beyond_input'],
    ['a text of 2^32 - 1 bytes', '7a ffffffff 61', 'length_beyond_input'],
    ['an array of 2^32 elements', '9b 0000000100000000 00', 'length_beyond_input'],
    ['an array of 2^64 - 1 elements', '9b ffffffffffffffff 00', 'length_beyond_input'],
    ['a map of 2^31 pairs, 2^32 items', 'ba 80000000 6161 00', 'length_beyond_input'],
    ['a map of 2^63 pairs', 'bb 8000000000000000 6161 00', 'length_beyond_input'],
    ['a byte string one longer than the input', '43 0000', 'length_beyond_input'],
    ['a text one longer than the input', 'a1 6161 63 6161', 'length_beyond_input'],
    ['9 levels', nested(MAX_CBOR_DEPTH + 1), 'too_deep'],
    ['9 levels, the last of them empty', '81'.repeat(MAX_CBOR_DEPTH) + '80', 'too_deep'],
    ['60 000 levels', nested(60_000), 'too_deep'],
    ['9 levels of maps', 'a16161'.repeat(MAX_CBOR_DEPTH) + 'a0', 'too_deep'],
    ['4097 items', `99 1000 ${'00'.repeat(MAX_CBOR_ITEMS)}`, 'too_many_items'],
    ['65 keys', `b8 41 ${keys(MAX_CBOR_KEYS + 1)}`, 'too_many_keys'],
    ['an integer key', 'a1 00 00', 'key_not_text'],
    ['a byte string key', 'a1 4161 00', 'key_not_text'],
    ['a map as a key', 'a1 a0 00', 'key_not_text'],
    ['a null key', 'a1 f6 00', 'key_not_text'],
    ['an integer as the second key', 'a2 6161 00 01 00', 'key_not_text'],
    ['the same key twice', 'a2 6161 00 6161 01', 'key_duplicate'],
    ['the same key twice, encoded differently', 'a2 6161 00 7801 61 01', 'key_duplicate'],
    ['the empty key twice', 'a2 60 00 60 01', 'key_duplicate'],
    ['the same key again after a nested map', 'a3 6161 a1 6162 00 6162 00 6161 00', 'key_duplicate'],
    ['__proto__', 'a1 69 5f5f70726f746f5f5f a0', 'key_forbidden'],
    ['__proto__ in a nested map', 'a1 6161 a1 69 5f5f70726f746f5f5f a0', 'key_forbidden'],
    ['a stray continuation byte', 'a1 6161 61 80', 'text_not_utf8'],
    ['an overlong slash', 'a1 6161 62 c0af', 'text_not_utf8'],
    ['a surrogate in UTF-8', 'a1 6161 63 eda080', 'text_not_utf8'],
    ['beyond U+10FFFF', 'a1 6161 64 f4908080', 'text_not_utf8'],
    ['a character cut short', 'a1 6161 63 61e282', 'text_not_utf8'],
    ['invalid UTF-8 in a key', 'a1 61 ff 00', 'text_not_utf8'],
    ['a leading byte order mark', 'a1 6161 64 efbbbf61', 'text_byte_order_mark'],
  ];
  for (const [title, input, reason] of cases) {
    t.strictSame(guardCbor(hex(input)), { ok: false, reason }, title);
    t.strictSame(decodeCborMap(hex(input)), { ok: false, reason }, `decodeCborMap: ${title}`);
  }
});

void t.test('passes up to each bound', async (t) => {
  const cases: [title: string, input: string][] = [
    ['8 levels', '81'.repeat(MAX_CBOR_DEPTH) + '00'],
    ['8 levels of maps', 'a16161'.repeat(MAX_CBOR_DEPTH - 1) + 'a0'],
    ['4096 items', `99 0fff ${'00'.repeat(MAX_CBOR_ITEMS - 1)}`],
    ['64 keys', `b8 40 ${Array.from({ length: MAX_CBOR_KEYS }, (_, index) => `62${hexKey(index)}00`).join('')}`],
    ['2^53 - 1', '1b 001fffffffffffff'],
    ['-2^53', '3b 001fffffffffffff'],
    ['one key in two maps', 'a2 6161 a1 6162 00 6162 a1 6162 00'],
    ['keys that differ in their last byte, or in length', 'a3 626161 00 626162 00 6161 00'],
    ['two sibling maps with the same keys', '82 a1 6161 00 a1 6161 00'],
    ['false, true, null', '83 f4 f5 f6'],
    ['floats of 16, 32 and 64 bits', '83 f93c00 fa3f800000 fb3ff0000000000000'],
    ['integers longer than they need be', '84 1805 190005 1a00000005 1b0000000000000005'],
    ['empty strings, arrays and maps', '84 40 60 80 a0'],
    ['_proto_', 'a1 67 5f70726f746f5f 00'],
    ['a byte order mark that is not the first character', 'a1 6161 64 61efbbbf'],
    ['all of Unicode\'s planes', 'a1 6161 6a 7fc3bf e282ac f0908080'],
  ];
  for (const [title, input] of cases) t.strictSame(guardCbor(hex(input)), { ok: true }, title);
});

void t.test('only a map decodes', async (t) => {
  for (const input of ['00', '80', '6161', 'f6', '81a0']) t.strictSame(decodeCborMap(hex(input)), { ok: false, reason: 'not_a_map' }, input);
  t.strictSame(decodeCborMap(hex('a0')), { ok: true, map: {} });
});

void t.test('64-bit integers decode to numbers, at any depth', async (t) => {
  t.strictSame(decodeCborMap(hex('a3 6161 1b 0000018bcfe56800 6162 81 1b 0000000000000005 6163 a1 6164 3b 001fffffffffffff')), {
    ok: true,
    map: { a: 1_700_000_000_000, b: [5], c: { d: -(2 ** 53) } },
  });
});

void t.test('decoded byte strings are plain copies, whatever the input was', async (t) => {
  const source = Buffer.from(hex('a1 6161 42 0102'));
  const decoded = decodeCborMap(source);
  source.fill(0);
  t.ok(decoded.ok);
  const value = decoded.ok ? decoded.map.a : undefined;
  t.ok(value instanceof Uint8Array && !Buffer.isBuffer(value));
  t.strictSame(value, Uint8Array.of(1, 2));
});

void t.test('keys that exist on Object.prototype stay the message\'s own', async (t) => {
  const decoded = decodeCborMap(hex('a2 6b 636f6e7374727563746f72 01 68 746f537472696e67 02'));
  t.strictSame(decoded, { ok: true, map: { constructor: 1, toString: 2 } });
  t.equal(({}).constructor, Object);
});

void t.test('a map of long keys with a common beginning costs a bounded number of comparisons', async (t) => {
  // 64 keys of 1000 bytes that differ in the last two only: 2016 pairs × 1000 bytes. Unbounded keys would make
  // it quadratic in 64 KiB.
  const keys = Array.from({ length: 64 }, (_, index) => `7903e8${'61'.repeat(998)}${hexKey(index)}00`).join('');
  t.strictSame(guardCbor(hex(`b840${keys}`)), { ok: true });
});

void t.test('never throws, and what passes decodes without a throw to one map', async () => {
  // Initial bytes drawn from the accepted ones, so that a good share gets deep into the scan.
  const token = fc.oneof(
    fc.constantFrom(0x00, 0x18, 0x1b, 0x20, 0x40, 0x41, 0x60, 0x61, 0x62, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0xa2, 0xf4, 0xf6, 0xf9, 0xfb),
    fc.nat({ max: 255 }),
  );
  const soup = fc.array(token, { maxLength: 24 }).map((tokens) => Uint8Array.of(0xa1, 0x61, 0x61, ...tokens));
  let passed = 0;
  fc.assert(fc.property(fc.oneof(soup, fc.uint8Array({ maxLength: 64 })), (input) => {
    const guarded = guardCbor(input);
    const decoded = decodeCborMap(input);
    if (guarded.ok && input[0]! >> 5 === 5) {
      passed += 1;
      return decoded.ok;
    }
    return !decoded.ok;
  }), { numRuns: 5000 });
  if (passed < 50) throw new Error(`only ${passed} inputs got past the guard: the property proves little`);
});

void t.test('a map with one byte changed is refused, or is understood so well that it encodes again and stays the same', async () => {
  fc.assert(fc.property(map, fc.nat(), fc.nat({ max: 255 }), (value, position, byte) => {
    const changed = encodeCborMap(value);
    changed[position % changed.length] = byte;
    const decoded = decodeCborMap(changed);
    if (!decoded.ok) return true;
    const encoded = encodeCborMap(decoded.map);
    const again = decodeCborMap(encoded);
    return again.ok && Buffer.compare(encodeCborMap(again.map), encoded) === 0;
  }), { numRuns: 2000 });
});

void t.test('everything our encoder emits passes the guard and round-trips', async (t) => {
  fc.assert(fc.property(map, (value) => {
    const encoded = encodeCborMap(value);
    t.ok(guardCbor(encoded).ok);
    t.strictSame(decodeCborMap(encoded), { ok: true, map: value });
  }), { numRuns: 500 });
});

void t.test('the encoder uses the shortest forms', async (t) => {
  const forms: [CborValue, string][] = [
    [23, '17'], [24, '1818'], [65536, '1a00010000'], [2 ** 32, '1b0000000100000000'], [-1, '20'],
    [-(2 ** 32), '3affffffff'], [-(2 ** 32) - 1, '3b0000000100000000'], [2 ** 53 - 1, '1b001fffffffffffff'],
    [1.5, 'fb3ff8000000000000'], [2 ** 60, 'fb43b0000000000000'], [null, 'f6'], [true, 'f5'], [Uint8Array.of(1), '4101'],
    [Buffer.of(1), '4101'], [{}, 'a0'], [[], '80'],
  ];
  for (const [value, digits] of forms) t.equal(Buffer.from(encodeCborMap({ a: value })).toString('hex'), `a16161${digits}`, digits);
  t.equal(Buffer.from(encodeCborMap({ a: undefined, b: 1 })).toString('hex'), 'a1616201', 'undefined is left out');
});

void t.test('encoding what a peer would refuse is an error of the caller', async (t) => {
  const deep = (levels: number): CborValue => (levels === 0 ? 0 : [deep(levels - 1)]);
  const bad: [string, Record<string, unknown>][] = [
    ['an unpaired surrogate', { a: '\ud800' }],
    ['an unpaired surrogate in a long text', { a: `${'x'.repeat(100)}\udc00` }],
    ['an unpaired surrogate in a key', { '\ud800': 1 }],
    ['a leading byte order mark', { a: '\ufeffx' }],
    ['9 levels', { a: deep(MAX_CBOR_DEPTH) }],
    ['65 keys', Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, 0]))],
    ['__proto__', JSON.parse('{"__proto__":1}') as Record<string, unknown>],
    ['a bigint', { a: 1n }],
    ['a function', { a: () => 1 }],
  ];
  for (const [title, value] of bad) {
    t.equal(codeOf(() => encodeCborMap(value)), 'cbor_unencodable', title);
  }
});

void t.test('clipped text always encodes and never exceeds its bound', async (t) => {
  t.equal(clipText('abc', 2), 'ab');
  t.equal(clipText('a\u{1f600}', 2), 'a', 'a pair is not split');
  t.equal(clipText('a\u{1f600}', 3), 'a\u{1f600}');
  t.equal(clipText('a\ud83d', 3), 'a\ufffd', 'an unpaired surrogate is replaced');
  t.equal(clipText('\ufeff\ufeffa', 3), 'a');
  fc.assert(fc.property(fc.array(fc.oneof(fc.nat({ max: 0xffff }), fc.constantFrom(0xfeff, 0xd83d, 0xde00))), fc.nat({ max: 12 }), (units, max) => {
    const clipped = clipText(String.fromCharCode(...units), max);
    const decoded = decodeCborMap(encodeCborMap({ a: clipped }));
    return clipped.length <= max && decoded.ok && decoded.map.a === clipped;
  }), { numRuns: 2000 });
});

/** Two hex bytes of two distinct printable characters. */
function hexKey(index: number): string {
  return Buffer.from([0x41 + (index >> 3), 0x61 + (index & 7)]).toString('hex');
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof ZtnaError) return error.code;
  }
  return undefined;
}
