// UDP payloads in both forms, and the varint in front of them against RFC 9000's own examples.

import fc from 'fast-check';
import t from 'tap';
import {
  MAX_UDP_PAYLOAD_BYTES, packUdpDatagram, packUdpFrame, parseUdpDatagram, readVarint, udpDatagramOverhead,
  UdpFrameDecoder, varintLength, writeVarint,
} from '@ztna/protocol';
import { chunksOf, concat, fractions } from './wire-arbitraries.js';

const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, 'hex'));
const streamId = fc.oneof(fc.nat({ max: 0xff }), fc.nat({ max: 0x7fff_ffff }), fc.maxSafeNat());

void t.test('the examples of RFC 9000 §A.1 read as it says', async (t) => {
  t.equal(readVarint(hex('9d7f3e7d')), 494_878_333);
  t.equal(readVarint(hex('7bbd')), 15_293);
  t.equal(readVarint(hex('25')), 37);
  t.equal(readVarint(hex('4025')), 37, 'two bytes where one would do');
  t.equal(readVarint(hex('c2197c5eff14e88c')), 'varint_out_of_range', '151288809941952652 is beyond 2^53 - 1');
});

void t.test('varints change length exactly at RFC 9000 §16\'s bounds', async (t) => {
  const bounds: [number, number][] = [
    [0, 1], [63, 1], [64, 2], [16_383, 2], [16_384, 4], [2 ** 30 - 1, 4], [2 ** 30, 8], [Number.MAX_SAFE_INTEGER, 8],
  ];
  for (const [value, length] of bounds) {
    const bytes = new Uint8Array(8);
    t.equal(varintLength(value), length, `${value}`);
    t.equal(writeVarint(bytes, value), length, `${value}`);
    t.equal(readVarint(bytes.subarray(0, length)), value, `${value}`);
    t.equal(readVarint(bytes.subarray(0, length - 1)), 'varint_truncated', `${value}`);
  }
  t.equal(readVarint(hex('c020000000000000')), 'varint_out_of_range', '2^53');
  t.equal(readVarint(hex('ffffffffffffffff')), 'varint_out_of_range', '2^62 - 1');
});

void t.test('an impossible stream id is an error of the caller', async (t) => {
  for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) {
    t.throws(() => packUdpDatagram(value, new Uint8Array(0)), { code: 'varint_out_of_range' }, `${value}`);
  }
});

void t.test('a datagram round-trips, and costs what udpDatagramOverhead says', async (t) => {
  fc.assert(fc.property(streamId, fc.uint8Array({ maxLength: 100 }), (id, payload) => {
    const datagram = packUdpDatagram(id, payload);
    t.equal(datagram.length, udpDatagramOverhead(id) + payload.length);
    t.strictSame(parseUdpDatagram(datagram), { ok: true, streamId: id, payload });
  }), { numRuns: 500 });
});

void t.test('random datagrams never throw, and what parses accounts for every byte', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
    const parsed = parseUdpDatagram(bytes);
    if (!parsed.ok) return parsed.reason === 'varint_truncated' ? bytes.length < 8 : bytes.length >= 8;
    return [1, 2, 4, 8].includes(bytes.length - parsed.payload.length) && Number.isSafeInteger(parsed.streamId);
  }), { numRuns: 2000 });
});

void t.test('the stream form round-trips at any chunking, empty payloads included', async (t) => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), fractions, (payloads, cuts) => {
    t.strictSame(decodeAll(chunksOf(concat(payloads.map(packUdpFrame)), cuts)), payloads);
  }), { numRuns: 300 });
});

void t.test('any bytes at all are a sequence of payloads and one unfinished rest', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fractions, (bytes, cuts) => {
    const payloads = decodeAll(chunksOf(bytes, cuts));
    const consumed = concat(payloads.map(packUdpFrame));
    return Buffer.compare(consumed, bytes.subarray(0, consumed.length)) === 0;
  }), { numRuns: 1000 });
});

void t.test('the largest payload passes on the stream, one byte more is an error of the caller', async (t) => {
  const largest = new Uint8Array(MAX_UDP_PAYLOAD_BYTES).fill(7);
  t.strictSame(decodeAll([packUdpFrame(largest)]), [largest]);
  t.throws(() => packUdpFrame(new Uint8Array(MAX_UDP_PAYLOAD_BYTES + 1)), { code: 'udp_payload_too_large' });
});

void t.test('memory follows the bytes received, not the length announced', async (t) => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 1000 }, () => {
    const decoder = new UdpFrameDecoder();
    decoder.push(Uint8Array.of(0xff, 0xff, 1));
    decoder.next();
    return decoder;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  t.ok(decoders.every((decoder) => decoder.isPartial));
  t.ok(grown < 1024 * 1024, `${grown} bytes held for 1000 unfinished payloads`);
});

void t.test('a payload is the reader\'s own: the chunk may be overwritten', async (t) => {
  const chunk = packUdpFrame(Uint8Array.of(1, 2, 3));
  const decoder = new UdpFrameDecoder();
  decoder.push(chunk);
  const payload = decoder.next();
  chunk.fill(0);
  t.strictSame(payload, Uint8Array.of(1, 2, 3));
});

function decodeAll(chunks: readonly Uint8Array[]): Uint8Array[] {
  const decoder = new UdpFrameDecoder();
  const payloads: Uint8Array[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let payload; (payload = decoder.next()) !== undefined; ) payloads.push(payload);
  }
  return payloads;
}
