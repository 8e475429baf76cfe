// Connection ids of a family: a golden vector, who can read them, and that they give nothing away.

import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { MAX_IDS_PER_FAMILY, ResetKey } from '@ztna/protocol';

const GOLDEN = { id: '6795649c27bc96ec9ba25b6340824779', token: 'c3426c3df5d7469d47a77fa47890de44' };
const SECRET = Buffer.from(Array.from({ length: 48 }, (_, i) => i));
const pem = (): Buffer => Buffer.from(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));

t.test('golden: one block of AES-128 and an HMAC, as OpenSSL computes them', async (t) => {
  const key = new ResetKey(SECRET);
  // printf 666f6f2d6261722d6261000000000007 | xxd -r -p | openssl enc -aes-128-ecb -nopad -K 000102…0f
  const family = key.familyOf(Buffer.from(GOLDEN.id, 'hex'));
  t.equal(family?.toString(), 'foo-bar-ba');
  // printf foo-bar-ba | openssl dgst -sha256 -mac HMAC -macopt hexkey:101112…2f
  t.equal(key.resetToken(Buffer.from('foo-bar-ba')).toString('hex'), GOLDEN.token);
});

t.test('a process with the same private key reads the ids and makes the same token; another does neither', async (t) => {
  const keyPem = pem();
  const before = ResetKey.derive(keyPem);
  const after = ResetKey.derive(keyPem);
  const other = ResetKey.derive(pem());
  const id = before.firstId();
  const family = before.open(id)!;
  t.equal(id.length, 16);
  t.strictSame(after.open(id)?.resetToken, family.resetToken);
  t.equal(family.resetToken.length, 16);
  t.notSame(other.open(id)?.resetToken, family.resetToken);
});

t.test('PEMs of one key give one reset key, whatever their encoding', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [pkcs8, sec1] = (['pkcs8', 'sec1'] as const).map((type) => ResetKey.derive(Buffer.from(privateKey.export({ type, format: 'pem' }))));
  const id = pkcs8!.firstId();
  t.strictSame(sec1!.open(id)?.resetToken, pkcs8!.open(id)?.resetToken);
});

t.test('every id of a connection leads back to its family, and no two are equal', async (t) => {
  const key = new ResetKey(SECRET);
  const first = key.firstId();
  const family = key.open(first)!;
  const ids = [first, ...Array.from({ length: 1000 }, () => family.nextId()!)];
  t.equal(new Set(ids.map((id) => id.toString('hex'))).size, 1001);
  t.strictSame([...new Set(ids.map((id) => key.open(id)?.name))], [family.name]);
  t.notSame(key.open(key.firstId())?.name, family.name, 'another connection is another family');
});

t.test('ids of one family have no more bits in common than random ones', async (t) => {
  const family = new ResetKey(SECRET).open(new ResetKey(SECRET).firstId())!;
  const counts = Array.from({ length: 128 }, () => 0);
  const SAMPLES = 4000;
  for (let n = 0; n < SAMPLES; n++) {
    const id = family.nextId()!;
    for (let bit = 0; bit < 128; bit++) counts[bit]! += (id[bit >> 3]! >> (bit & 7)) & 1;
  }
  // Six standard deviations of a fair coin, sqrt(4000) / 2 = 31.6: off by chance once in four million runs.
  t.strictSame(counts.filter((count) => Math.abs(count - SAMPLES / 2) > 6 * 31.6), []);
});

t.test('a family runs out of ids instead of repeating one', async (t) => {
  const key = new ResetKey(SECRET);
  const family = key.open(key.firstId())!;
  let last: Buffer | undefined;
  for (let n = 1; n < MAX_IDS_PER_FAMILY; n++) last = family.nextId();
  t.equal(key.open(last!)?.name, family.name);
  t.equal(family.nextId(), undefined);
  t.equal(family.nextId(), undefined);
});

t.test('random ids are not taken for ours', async (t) => {
  const key = new ResetKey(SECRET);
  let taken = 0;
  const id = Buffer.alloc(16);
  for (let n = 0; n < 65_536; n++) {
    id.writeUInt32BE(n);
    if (key.familyOf(id)) taken++;
  }
  // One in 2^32 is; this key and these ids are fixed, so the outcome is too.
  t.equal(taken, 0);
});

t.test('never throws, and refuses every length but 16', (t) => {
  const key = new ResetKey(SECRET);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (id) => {
      const family = key.open(id);
      return id.length === 16 || family === undefined;
    }),
  );
  t.throws(() => new ResetKey(Buffer.alloc(47)), RangeError);
  t.throws(() => ResetKey.derive(Buffer.from('no key')));
  t.end();
});
