// QUIC long headers as strangers send them.

import fc from 'fast-check';
import t from 'tap';
import { parseLongHeader } from '@ztna/protocol';

/** RFC 9000 §17.2.2, one field per line. */
const INITIAL = Buffer.from([
  'c3', // long header, fixed bit, Initial, 4-byte packet number
  '00000001', // version 1
  '08', '8394c8f03e515708', // destination connection id
  '04', 'aabbccdd', // source connection id
  '03', '746f6b', // token
  '449e', // length
].join(''), 'hex');
const HEADER_BYTES = INITIAL.length - 2;

const initialWithTokenLength = (hex: string, rest: number): Buffer =>
  Buffer.concat([INITIAL.subarray(0, 19), Buffer.from(hex, 'hex'), Buffer.alloc(rest, 0x61)]);

t.test('reads version, ids and token of an Initial', async (t) => {
  const header = parseLongHeader(INITIAL)!;
  t.equal(header.version, 1);
  t.equal(header.type, 0);
  t.equal(header.dcid.toString('hex'), '8394c8f03e515708');
  t.equal(header.scid.toString('hex'), 'aabbccdd');
  t.equal(header.token.toString(), 'tok');
});

t.test('refuses every truncation of the header', async (t) => {
  for (let length = 0; length < HEADER_BYTES; length++) t.equal(parseLongHeader(INITIAL.subarray(0, length)), undefined, `${length} bytes`);
});

t.test('reads token lengths of one and two bytes, and refuses longer forms and lengths beyond the packet', async (t) => {
  t.equal(parseLongHeader(initialWithTokenLength('3f', 63))?.token.length, 63);
  t.equal(parseLongHeader(initialWithTokenLength('4040', 64))?.token.length, 64);
  t.equal(parseLongHeader(initialWithTokenLength('4003', 3))?.token.length, 3, 'not the shortest form, and allowed');
  t.equal(parseLongHeader(initialWithTokenLength('00', 0))?.token.length, 0);
  t.equal(parseLongHeader(initialWithTokenLength('3f', 62)), undefined);
  t.equal(parseLongHeader(initialWithTokenLength('7fff', 1400)), undefined);
  t.equal(parseLongHeader(initialWithTokenLength('40', 0)), undefined);
  t.equal(parseLongHeader(initialWithTokenLength('80000003', 3)), undefined);
  t.equal(parseLongHeader(initialWithTokenLength('c000000000000003', 3)), undefined);
});

t.test('refuses connection ids of more than 20 bytes and short headers', async (t) => {
  const long = Buffer.concat([INITIAL.subarray(0, 5), Buffer.of(21), Buffer.alloc(100)]);
  t.equal(parseLongHeader(long), undefined);
  const longSource = Buffer.concat([INITIAL.subarray(0, 14), Buffer.of(21), Buffer.alloc(100)]);
  t.equal(parseLongHeader(longSource), undefined);
  const short = Buffer.from(INITIAL);
  short[0] = 0x43;
  t.equal(parseLongHeader(short), undefined);
});

t.test('an unknown version has no token that we could read', async (t) => {
  const other = Buffer.from(INITIAL);
  other.writeUInt32BE(0x6b3343cf, 1);
  t.match(parseLongHeader(other), { version: 0x6b3343cf });
  t.equal(parseLongHeader(other)!.token.length, 0);
});

t.test('random bytes never throw, and what is read lies inside the packet', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, forced) => {
    const packet = Buffer.from(bytes);
    if (forced && packet.length > 5) {
      packet[0] = 0xc0 | (packet[0]! & 0x0f);
      packet.writeUInt32BE(1, 1);
    }
    const header = parseLongHeader(packet);
    if (!header) return;
    for (const view of [header.dcid, header.scid, header.token]) if (!packet.includes(view)) throw new Error('outside the packet');
  }), { numRuns: 2000 });
});
