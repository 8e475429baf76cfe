// Two implementations of Ed25519 against each other, and that the relay uses only the fast one.

import { createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { mintToken, NONCE_BYTES, ReplayLog, verifyToken } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';
import nacl from 'tweetnacl';
import {
  AUDIENCE,
  base64,
  CONNECTOR,
  context,
  FINGERPRINT,
  hmacEntry,
  keyEntry,
  keyringOf,
  mint,
  outcome,
  privateKeyOf,
  publicKeyOf,
  registrationKey,
  SEED,
  sealPayload,
} from './token-fixture.js';

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const claims = fc.record({
  name: label,
  services: fc.uniqueArray(label, { maxLength: 64, size: 'max' }),
  nonce: fc.uint8Array({ minLength: NONCE_BYTES, maxLength: NONCE_BYTES }),
  ttlSeconds: fc.integer({ min: 1, max: 60 }),
  keyId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
});
const validity = { notBefore: '1970-01-01T00:00:00Z', notAfter: '2999-01-01T00:00:00Z' };
const scope = { role: 'connector', identities: '*', services: '*' };

for (const algorithm of ['ed25519', 'hmac-sha256'] as const) {
  t.test(`whatever is minted with ${algorithm} verifies and says the same`, async (t) => {
    fc.assert(
      fc.property(seed, claims, fc.integer({ min: 0, max: Date.UTC(2900, 0) }), (secret, { name, services, nonce, ttlSeconds, keyId }, now) => {
        const identity = { ...CONNECTOR, name };
        const request = { identity, services, audience: AUDIENCE, binding: FINGERPRINT, ttlSeconds };
        const token = mintToken(request, registrationKey(keyId, algorithm, secret), { now, randomBytes: () => nonce });
        const entry =
          algorithm === 'ed25519'
            ? keyEntry({ keyId, scope, ...validity, publicKey: base64(publicKeyOf(secret)) })
            : hmacEntry({ keyId, scope, ...validity, secret: base64(secret) });
        const result = verifyToken(token, context({ identity, now, certificateServices: services }), keyringOf(entry), new ReplayLog());
        t.match(result, { ok: true, keyId, claims: { issuedAt: now, ttlSeconds, services, nonce } });
        return result.ok;
      }),
      { numRuns: 50 },
    );
  });
}

t.test('what tweetnacl signs node:crypto verifies, and the other way round, byte for byte the same', async () => {
  fc.assert(
    fc.property(seed, fc.uint8Array({ maxLength: 2000 }), (secret, message) => {
      const pair = nacl.sign.keyPair.fromSeed(secret);
      const signature = nacl.sign.detached(message, pair.secretKey);
      const x = Buffer.from(pair.publicKey).toString('base64url');
      const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
      return verify(null, message, publicKey, signature) && Buffer.from(signature).equals(nodeSign(secret, message));
    }),
    { numRuns: 40 },
  );
});

t.test('what node:crypto signs tweetnacl verifies, and nothing else', async () => {
  fc.assert(
    fc.property(seed, fc.uint8Array({ minLength: 1, maxLength: 2000 }), (secret, message) => {
      const signature = nodeSign(secret, message);
      const publicKey = publicKeyOf(secret);
      const altered = Uint8Array.from(message);
      altered[0]! ^= 1;
      return (
        nacl.sign.detached.verify(message, signature, publicKey) && !nacl.sign.detached.verify(altered, signature, publicKey)
      );
    }),
    { numRuns: 30 },
  );
});

t.test('a token sealed by node:crypto is the token tweetnacl mints', async (t) => {
  const token = mint();
  const payloadAt = 2 + 'shop-2026'.length + 2;
  t.same(sealPayload(token.subarray(payloadAt, token.length - 64)), token);
});

t.test('a signature whose S is not reduced is refused: one token, one spelling (RFC 8032 §5.1.7)', async (t) => {
  const token = mint();
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = token.subarray(token.length - 32);
  const value = BigInt(`0x${Buffer.from(s).reverse().toString('hex')}`) + order;
  s.set(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());
  t.equal(outcome(token), 'token_bad_signature');
});

t.test('verifying calls no tweetnacl', async (t) => {
  const calls = [t.capture(nacl.sign, 'open'), t.capture(nacl.sign.detached, 'verify'), t.capture(nacl, 'hash')];
  t.equal(outcome(sealPayload(mint().subarray(13, -64))), 'ok');
  for (const call of calls) t.equal(call().length, 0);
});

t.test('no module that verifying loads imports tweetnacl; minting does', async (t) => {
  t.notOk(importsOf('token/verify-token.js').has('tweetnacl'));
  t.ok(importsOf('token/verify-token.js').has('node:crypto'));
  t.ok([...importsOf('token/mint-token.js')].some((name) => name.startsWith('cbor-x')), 'the walk reaches packages');
  t.ok(importsOf('token/registration-key.js').has('tweetnacl'));
});

t.test('an inspected key shows no secret', async (t) => {
  for (const algorithm of ['ed25519', 'hmac-sha256'] as const) {
    const key = registrationKey('shop-2026', algorithm);
    const keyring = keyringOf(hmacEntry());
    const shown = [key, keyring, keyring.find('shop-2026')].map((value) => inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value)).join();
    t.match(shown, /shop-2026/);
    t.notMatch(shown, base64(SEED).slice(0, 12));
    t.notMatch(shown, '0, 1, 2, 3, 4, 5');
    t.notMatch(shown, '00 01 02 03');
    t.notMatch(shown, '"0":0');
  }
});

function nodeSign(secret: Uint8Array, message: Uint8Array): Buffer {
  return sign(null, message, privateKeyOf(secret));
}

/** Every specifier reached from a built module, following relative imports. */
function importsOf(module: string): Set<string> {
  const seen = new Set<string>();
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    for (const [, specifier] of readFileSync(url, 'utf8').matchAll(/^(?:import|export)\s[^;]*?from '([^']+)'/gm)) {
      if (specifier!.startsWith('.')) visit(new URL(specifier!, url));
      else seen.add(specifier!);
    }
  };
  visit(new URL(module, import.meta.resolve('@ztna/protocol')));
  return seen;
}
