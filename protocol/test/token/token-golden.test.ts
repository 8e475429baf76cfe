// The golden vector of docs/wire/registration-token.md, read from there; and what minting refuses to make.

import { createHmac, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mintToken, MAX_TOKEN_BYTES, ZtnaError, type TokenRequest } from '@ztna/protocol';
import { decode } from 'cbor-x';
import t from 'tap';
import { AUDIENCE, CONNECTOR, FINGERPRINT, fixedNonce, keyringOf, hmacEntry, mint, NOW, outcome, registrationKey, request, SEED } from './token-fixture.js';

const doc = readFileSync(new URL('../../../docs/wire/registration-token.md', import.meta.url), 'utf8');
const golden = vector('ed25519');
const mac = vector('hmac-sha256');
const unsigned = golden.subarray(0, -64);
const signatureInput = Buffer.concat([Buffer.from('ztna-registration-v1\0'), unsigned]);

t.test('minting gives the documented bytes', async (t) => {
  t.equal(Buffer.from(mint({ services: ['web', 'db'] })).toString('hex'), golden.toString('hex'));
});

t.test('the documented bytes verify', async (t) => {
  t.equal(outcome(golden), 'ok');
});

t.test('the documented HMAC is minted and verifies', async (t) => {
  const key = registrationKey('shop-2026', 'hmac-sha256');
  const token = Buffer.concat([unsigned, mac]);
  t.equal(Buffer.from(mint({ services: ['web', 'db'] }, key)).toString('hex'), token.toString('hex'));
  t.equal(outcome(token, {}, keyringOf(hmacEntry())), 'ok');
});

t.test('the documented bytes hold by primitives alone, without our code', async (t) => {
  const x = Buffer.from(/`(03a1[0-9a-f]{60})`/.exec(doc)![1]!, 'hex').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  t.ok(verify(null, signatureInput, publicKey, golden.subarray(-64)));
  t.same(createHmac('sha256', SEED).update(signatureInput).digest(), mac);
  t.same(decode(unsigned.subarray(13)), {
    role: 'connector',
    nonce: Buffer.from(fixedNonce(16)),
    binding: Buffer.from(FINGERPRINT),
    audience: AUDIENCE,
    identity: 'spiffe://corp.example/connector/shop',
    issuedAt: BigInt(NOW),
    services: ['web', 'db'],
    ttlSeconds: 60,
  });
});

t.test('the largest token allowed fits MAX_TOKEN_BYTES', async (t) => {
  const longest = 'x'.repeat(63);
  const trustDomain = `${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(52)}`;
  const services = Array.from({ length: 64 }, (_, index) => String(index).padStart(63, 's'));
  const token = mint(
    { identity: { trustDomain, role: 'connector', name: longest }, audience: `spiffe://${trustDomain}/relay/${longest}`, services },
    registrationKey('k'.repeat(64)),
  );
  t.ok(token.length <= MAX_TOKEN_BYTES, `${token.length} bytes`);
});

const unmintable: [string, Partial<TokenRequest>, RegExp][] = [
  ['65 services', { services: Array.from({ length: 65 }, (_, index) => `s${index}`) }, /services: 65 named; at most 64/],
  ['a service twice', { services: ['web', 'web'] }, /services: names a service twice/],
  ['a service that is no name', { services: ['Web'] }, /services\[0\]: must be a service name/],
  ['a binding of 31 bytes', { binding: FINGERPRINT.subarray(1) }, /binding: must be 32 bytes/],
  ['a ttl of 0', { ttlSeconds: 0 }, /ttlSeconds/],
  ['a fractional ttl', { ttlSeconds: 1.5 }, /ttlSeconds/],
  ['an audience that is no identity', { audience: 'relay-1' }, /audience: must be spiffe/],
  ['an identity with an upper-case name', { identity: { ...CONNECTOR, name: 'Shop' } }, /identity: must be spiffe/],
];

for (const [title, changes, says] of unmintable) {
  t.test(`minting refuses ${title}`, async (t) => {
    const make = () => mintToken(request(changes), registrationKey(), { now: NOW, randomBytes: fixedNonce });
    t.throws(make, ZtnaError);
    t.throws(make, { code: 'config_invalid', message: says });
  });
}

t.test('each token asks for 16 random bytes and a whole millisecond', async (t) => {
  const asked: number[] = [];
  const randomBytes = (length: number) => (asked.push(length), new Uint8Array(length).fill(asked.length));
  const make = () => mintToken(request(), registrationKey(), { now: NOW + 0.75, randomBytes });
  const first = make();
  t.notSame(make(), first);
  t.same(asked, [16, 16]);
  t.equal(outcome(first), 'ok');
});

/** The hex of the block ```` ```hex <name> ````: first column of each line; the rest says which field it is. */
function vector(name: string): Buffer {
  const block = new RegExp(`\`\`\`hex ${name}\n([^\`]*)\`\`\``).exec(doc)?.[1];
  if (!block) throw new Error(`the document has no vector ${name}`);
  const columns = block.trim().split('\n').map((line) => line.split('  ')[0]!);
  if (!columns.every((hex) => /^([0-9a-f]{2})+$/.test(hex))) throw new Error(`vector ${name} is not hex`);
  return Buffer.from(columns.join(''), 'hex');
}
