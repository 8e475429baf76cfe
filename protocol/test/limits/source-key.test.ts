// Addresses into sources, against a naive parser and against node:net's idea of what an address is.

import { isIP } from 'node:net';
import { sourceKey, type SourceKey } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';

t.test('an IPv4 address is its own source', async (t) => {
  t.equal(sourceKey('0.0.0.0'), 0);
  t.equal(sourceKey('192.0.2.1'), 0xc0000201);
  t.equal(sourceKey('255.255.255.255'), 0xffffffff);
});

t.test('an IPv4-mapped address is the IPv4 address, however it is written', async (t) => {
  for (const text of ['::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1', '0000:0000:0000:0000:0000:ffff:c000:0201', '0::ffff:192.0.2.1%1']) {
    t.equal(sourceKey(text), 0xc0000201, text);
  }
});

t.test('all addresses of a /64 are one source, the next /64 is another', async (t) => {
  t.equal(sourceKey('2001:db8:0:1::1'), '2001:db8:0:1');
  t.equal(sourceKey('2001:DB8:0:1:ffff:ffff:ffff:ffff'), '2001:db8:0:1');
  t.equal(sourceKey('2001:db8:0:2::1'), '2001:db8:0:2');
  t.equal(sourceKey('fe80::1%eth0'), 'fe80:0:0:0');
  t.equal(sourceKey('::'), '0:0:0:0');
  t.equal(sourceKey('1:2:3:4:5:6:7::'), '1:2:3:4');
  t.equal(sourceKey('::2:3:4:5:6:7:8'), '0:2:3:4');
});

t.test('what only resembles a mapped address is IPv6', async (t) => {
  for (const text of ['::192.0.2.1', '::fffe:192.0.2.1', '::1:ffff:192.0.2.1', '64:ff9b::192.0.2.1']) t.type(sourceKey(text), 'string', text);
});

t.test('what is no address has no source', async (t) => {
  const bad = [
    '', '.', ':', ':::', '1', '1.2.3', '1.2.3.4.5', '1.2.3.', '.1.2.3', '1..2.3', '256.0.0.1', '01.2.3.4', '1.2.3.4 ', '1.2.3.4%eth0', '0x1.2.3.4', '1.2.3.-4',
    '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '12345::', 'g::', '1:', ':1', '1:2:3:4:5:6:7:', '::1%',
    '1.2.3.4::', '::1.2.3', '::256.1.1.1', '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3.4:5', '[::1]', '%', '::%', 'example.test',
  ];
  for (const text of bad) t.equal(sourceKey(text), undefined, JSON.stringify(text));
});

const group = fc.integer({ min: 0, max: 0xffff });
const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 }).map((parts) => parts.join('.'));
/** Any spelling: `::` anywhere or nowhere, upper case, leading zeros, a dotted tail, many zeros. */
const spelledV6 = fc
  .record({ groups: fc.array(fc.oneof(group, fc.constantFrom(0, 0xffff)), { minLength: 0, maxLength: 8 }), gap: fc.nat(8), pad: fc.boolean(), upper: fc.boolean(), tail: fc.option(octets), zone: fc.constantFrom('', '%eth0', '%1') })
  .map(({ groups, gap, pad, upper, tail, zone }) => {
    const words = groups.map((value) => (pad ? value.toString(16).padStart(4, '0') : value.toString(16)));
    if (tail !== null) words.splice(6, 2, tail);
    const full = tail === null ? words.length === 8 : words.length === 7 && groups.length >= 6;
    const at = Math.min(gap, tail === null ? words.length : words.length - 1);
    const text = full ? words.join(':') : `${words.slice(0, at).join(':')}::${words.slice(at).join(':')}`;
    return (upper ? text.toUpperCase() : text) + zone;
  });

t.test('agrees with a naive parser on every spelling, and with node:net on what an address is', async (t) => {
  fc.assert(
    fc.property(fc.oneof(octets, spelledV6, fc.ipV4(), fc.ipV6()), (text) => {
      const valid = isIP(text) !== 0;
      return sourceKey(text) === (valid ? naiveKey(text) : undefined);
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

t.test('text of the letters of addresses is read exactly when node:net reads it', async (t) => {
  const letters = fc.string({ unit: fc.constantFrom(...'0123456789abcfF:::...'), maxLength: 24 });
  fc.assert(fc.property(letters, (text) => (sourceKey(text) !== undefined) === (isIP(text) !== 0)), { numRuns: 20_000 });
  t.pass();
});

t.test('no text makes it throw', async (t) => {
  fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => sourceKey(text) !== null));
  t.pass();
});

/** By text surgery and BigInt; the text is a valid address. */
function naiveKey(text: string): SourceKey {
  const bare = text.split('%')[0]!.toLowerCase();
  if (!bare.includes(':')) return Number(bare.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n));
  const hex = bare.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`);
  const [before = '', after] = hex.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const words = [...head, ...new Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  const value = words.reduce((sum, word) => sum * 65_536n + BigInt(`0x${word}`), 0n);
  if (value >> 32n === 0xffffn) return Number(value & 0xffff_ffffn);
  return words.slice(0, 4).map((word) => BigInt(`0x${word}`).toString(16)).join(':');
}
