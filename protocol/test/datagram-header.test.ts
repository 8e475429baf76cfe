// The 16-byte header: each fault by name, the in-place functions against their plain twins, and sizes.

import fc from 'fast-check';
import t from 'tap';
import {
  checkHeader, DatagramType, decodeHeader, DROP_REASON_NAMES, DROP_REASONS, encodeHeader, HEADER_BYTES,
  MAX_INNER_PACKET_BYTES, MAX_RELAYED_DATAGRAM_BYTES, MIN_INNER_PACKET_BYTES, OUTER_DATAGRAM_BYTES, readSlot,
  readTag, readType, rewriteSession, writeHeader, ZTNA_MAGIC,
} from '@ztna/protocol';
import { u32 } from './wire-arbitraries.js';

const header = fc.record({ type: fc.constantFrom(...Object.values(DatagramType)), slot: u32, tag: u32 }, { noNullPrototype: true });
/** Random bytes almost never get past the magic, so most candidates are a valid header with up to three bytes changed. */
const nearHeader = fc.tuple(
  header,
  fc.array(fc.tuple(fc.nat({ max: HEADER_BYTES - 1 }), fc.nat({ max: 255 })), { maxLength: 3 }),
  fc.uint8Array({ maxLength: 8 }),
  fc.nat({ max: HEADER_BYTES + 8 }),
).map(([valid, changes, payload, cut]) => {
  const bytes = Uint8Array.from([...encodeHeader(valid), ...payload]);
  for (const [offset, byte] of changes) bytes[offset] = byte;
  return cut < 4 ? bytes.slice(0, cut * 5) : bytes;
});
const candidate = fc.oneof({ weight: 4, arbitrary: nearHeader }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) });

void t.test('the magic starts in the range RFC 9443 leaves unassigned, below any QUIC packet', async (t) => {
  t.ok(ZTNA_MAGIC[0]! >= 4 && ZTNA_MAGIC[0]! <= 15);
  t.equal(ZTNA_MAGIC[0]! & 0xc0, 0, 'neither the fixed bit nor the long-header bit');
});

void t.test('every fault has its own reason, and the first one in header order wins', async (t) => {
  const valid = encodeHeader({ type: DatagramType.data, slot: 1, tag: 2 });
  const changed = (...changes: [number, number][]): Uint8Array => {
    const bytes = valid.slice();
    for (const [offset, byte] of changes) bytes[offset] = byte;
    return bytes;
  };
  const cases: [string, Uint8Array, string | undefined][] = [
    ['a whole header', valid, undefined],
    ['15 bytes', valid.subarray(0, 15), 'header_too_short'],
    ['nothing', new Uint8Array(0), 'header_too_short'],
    ['first magic byte', changed([0, 0x40]), 'bad_magic'],
    ['last magic byte', changed([3, 0]), 'bad_magic'],
    ['version 0', changed([4, 0]), 'bad_version'],
    ['version 2', changed([4, 2]), 'bad_version'],
    ['type 3', changed([5, 3]), 'bad_type'],
    ['type 255', changed([5, 255]), 'bad_type'],
    ['reserved, high byte', changed([6, 1]), 'reserved_bits_set'],
    ['reserved, low byte', changed([7, 1]), 'reserved_bits_set'],
    ['all of them', changed([0, 0], [4, 9], [5, 9], [7, 9]), 'bad_magic'],
    ['version, type, reserved', changed([4, 9], [5, 9], [7, 9]), 'bad_version'],
    ['type, reserved', changed([5, 9], [7, 9]), 'bad_type'],
  ];
  for (const [title, bytes, reason] of cases) {
    t.equal(checkHeader(bytes, bytes.length), reason, title);
    if (reason !== undefined) t.ok(reason in DROP_REASONS, `${reason} is a drop reason`);
  }
});

void t.test('bytes left in a reused buffer beyond the received length do not count', async (t) => {
  const buffer = new Uint8Array(2048);
  writeHeader(buffer, DatagramType.data, 1, 2);
  t.equal(checkHeader(buffer, HEADER_BYTES), undefined);
  t.equal(checkHeader(buffer, HEADER_BYTES - 1), 'header_too_short');
});

void t.test('the in-place reader and the plain decoder agree on any bytes', async () => {
  fc.assert(fc.property(candidate, (bytes) => {
    const fault = checkHeader(bytes, bytes.length);
    const fast = fault === undefined
      ? { ok: true, header: { type: readType(bytes), slot: readSlot(bytes), tag: readTag(bytes) } }
      : { ok: false, reason: fault };
    return JSON.stringify(fast) === JSON.stringify(decodeHeader(bytes));
  }), { numRuns: 3000 });
});

void t.test('the in-place writer and the plain encoder write the same bytes, and nothing after them', async () => {
  fc.assert(fc.property(header, fc.uint8Array({ minLength: 16, maxLength: 40 }), ({ type, slot, tag }, buffer) => {
    const payload = buffer.slice(HEADER_BYTES);
    writeHeader(buffer, type, slot, tag);
    return equal(buffer.subarray(0, HEADER_BYTES), encodeHeader({ type, slot, tag })) && equal(buffer.subarray(HEADER_BYTES), payload);
  }));
});

void t.test('a header round-trips, also at an offset into a larger allocation', async () => {
  fc.assert(fc.property(header, fc.nat({ max: 7 }), (value, offset) => {
    const memory = new Uint8Array(offset + HEADER_BYTES);
    memory.set(encodeHeader(value), offset);
    return JSON.stringify(decodeHeader(memory.subarray(offset))) === JSON.stringify({ ok: true, header: value });
  }));
});

void t.test('rewriting a session changes slot and tag and no other byte', async () => {
  fc.assert(fc.property(header, u32, u32, fc.uint8Array({ maxLength: 64 }), (value, slot, tag, payload) => {
    const datagram = Uint8Array.from([...encodeHeader(value), ...payload]);
    rewriteSession(datagram, slot, tag);
    return equal(datagram, Uint8Array.from([...encodeHeader({ type: value.type, slot, tag }), ...payload]));
  }));
});

void t.test('the sizes add up: the largest inner packet with its header fits an outer datagram', async (t) => {
  t.equal(OUTER_DATAGRAM_BYTES, 1306);
  t.equal(MAX_RELAYED_DATAGRAM_BYTES, 1296);
  t.ok(MAX_RELAYED_DATAGRAM_BYTES <= OUTER_DATAGRAM_BYTES);
  t.ok(MIN_INNER_PACKET_BYTES <= MAX_INNER_PACKET_BYTES);
});

void t.test('drop reasons are usable as metric labels', async (t) => {
  t.strictSame(DROP_REASON_NAMES, Object.keys(DROP_REASONS));
  for (const reason of DROP_REASON_NAMES) t.match(reason, /^[a-z]+(?:_[a-z]+)*$/);
});

function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
