// Keyrings and key files from outside: every fault at once, by key path, and no secret in any of them.

import { createPublicKey, verify } from 'node:crypto';
import { parseKeyring, parseRegistrationKey, type KeyFault } from '@ztna/protocol';
import t from 'tap';
import { base64, hmacEntry, keyEntry, keyringOf, SEED, seedOf } from './token-fixture.js';

t.test('a keyring keeps scope, validity and key ids', async (t) => {
  const keyring = keyringOf(keyEntry({ notAfter: '2026-02-01T01:00:00+01:00' }), hmacEntry({ keyId: 'second', scope: { role: 'agent', identities: '*', services: [] } }));
  t.same(keyring.keyIds, ['shop-2026', 'second']);
  t.match(keyring.find('shop-2026'), {
    scope: { role: 'connector', identities: new Set(['shop']), services: new Set(['web', 'db']) },
    notBefore: Date.UTC(2026, 0, 1),
    notAfter: Date.UTC(2026, 1, 1),
  });
  t.match(keyring.find('second'), { scope: { role: 'agent', identities: '*', services: new Set() } });
  t.equal(keyring.find('third'), undefined);
  t.equal(keyring.find('__proto__'), undefined);
});

t.test('an empty keyring is valid: nobody may register', async (t) => {
  t.same(keyringOf().keyIds, []);
});

t.test('a keyring knows whether its file must be kept secret', async (t) => {
  t.equal(keyringOf(keyEntry()).holdsSecret, false);
  t.equal(keyringOf(keyEntry(), hmacEntry({ keyId: 'second' })).holdsSecret, true);
});

t.test('a key cannot be changed in place', async (t) => {
  const key = keyringOf(keyEntry()).find('shop-2026')!;
  t.throws(() => Object.assign(key, { notAfter: Infinity }), TypeError);
});

t.test('every fault of every key is reported at once', async (t) => {
  const bad = {
    keys: [
      {
        keyId: 'has space',
        algorithm: 'rsa',
        publicKey: 'AA==',
        scope: { role: 'relay', identities: [], services: ['ok', 'Not.Ok'], extra: 1 },
        notBefore: 'yesterday',
        notAfter: 5,
        colour: 'red',
      },
      keyEntry({ secret: base64(SEED) }),
      hmacEntry({ keyId: 'mac', secret: undefined, publicKey: base64(seedOf(3)) }),
      keyEntry({ notBefore: '2026-03-01T00:00:00Z' }),
      {},
      7,
    ],
    more: true,
  };
  t.same(paths(parseKeyring(bad)), [
    'keys[0].algorithm',
    'keys[0].colour',
    'keys[0].keyId',
    'keys[0].notAfter',
    'keys[0].notBefore',
    'keys[0].publicKey',
    'keys[0].scope.extra',
    'keys[0].scope.identities',
    'keys[0].scope.role',
    'keys[0].scope.services[1]',
    'keys[1].secret',
    'keys[2].publicKey',
    'keys[2].secret',
    'keys[3].keyId',
    'keys[3].notAfter',
    'keys[4].algorithm',
    'keys[4].keyId',
    'keys[4].notAfter',
    'keys[4].notBefore',
    'keys[4].scope',
    'keys[5]',
    'more',
  ]);
});

const single: [string, Record<string, unknown>, string, RegExp][] = [
  ['a public key of 31 bytes', keyEntry({ publicKey: base64(new Uint8Array(31).fill(9)) }), 'keys[0].publicKey', /holds 31 bytes; must hold exactly 32/],
  ['a public key in base64url', keyEntry({ publicKey: base64(new Uint8Array(32).fill(0xff)).replaceAll('/', '_') }), 'keys[0].publicKey', /base64/],
  ['a public key without padding', keyEntry({ publicKey: base64(seedOf(9)).replace('=', '') }), 'keys[0].publicKey', /base64/],
  ['a public key with a line break', keyEntry({ publicKey: `${base64(seedOf(9))}\n` }), 'keys[0].publicKey', /base64/],
  ['an HMAC secret of 31 bytes', hmacEntry({ secret: base64(new Uint8Array(31).fill(9)) }), 'keys[0].secret', /holds 31 bytes; must hold 32 to 256/],
  ['a validity that ends as it begins', keyEntry({ notAfter: '2026-01-01T00:00:00Z' }), 'keys[0].notAfter', /must be later than notBefore/],
  ['a time without zone', keyEntry({ notAfter: '2026-02-01T00:00:00' }), 'keys[0].notAfter', /with its zone/],
  ['a day that is not', keyEntry({ notAfter: '2026-02-30T00:00:00Z' }), 'keys[0].notAfter', /date and time/],
  ['a scope that is a word', keyEntry({ scope: { role: 'agent', identities: 'all', services: '*' } }), 'keys[0].scope.identities', /'\*' or a list/],
];

for (const [title, entry, path, says] of single) {
  t.test(`refuses ${title}`, async (t) => {
    const faults = faultsOf(parseKeyring({ keys: [entry] }));
    t.equal(faults.length, 1);
    t.match(faults[0], { path, message: says });
  });
}

t.test('a key whose colon was forgotten is not repeated, for its name is the secret', async (t) => {
  const secret = base64(SEED);
  for (const name of [`secret ${secret}`, secret, `secret\0${secret}`]) {
    const parsed = parseKeyring({ keys: [{ keyId: 'k1', algorithm: 'hmac-sha256', [name]: null }] });
    t.notOk(parsed.ok);
    t.notOk(JSON.stringify(parsed).includes(secret), JSON.stringify(parsed));
    t.match(JSON.stringify(parsed), /is a colon missing\?/);
  }
  t.match(JSON.stringify(parseKeyring({ keys: [{ note: 1 }] })), /"path":"keys\[0\]\.note","message":"unknown key"/);
});

t.test('values that are no keyring at all are faults, not throws', async (t) => {
  for (const value of [undefined, null, 0, 'keys', [], {}, { keys: null }, { keys: {} }, { keys: [null] }]) {
    t.not(faultsOf(parseKeyring(value)).length, 0);
    t.not(faultsOf(parseRegistrationKey(value)).length, 0);
  }
});

/** The points of small order, one spelling each and those beyond p; RFC 7748 §7 has their cousins. */
const smallOrder = [
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
];

t.test('a public key of small order is refused, either sign', async (t) => {
  for (const y of smallOrder) {
    for (const sign of [0, 0x80]) {
      const bytes = Buffer.from(y, 'hex');
      bytes[31]! |= sign;
      t.match(faultsOf(parseKeyring({ keys: [keyEntry({ publicKey: base64(bytes) })] })), [{ path: 'keys[0].publicKey', message: /small order/ }]);
    }
  }
});

t.test('OpenSSL would verify a forgery for each of them, which is why', async (t) => {
  // With S = 0 and R of small order the equation R = S·B - h·A holds for some messages, whoever made them.
  const candidates = smallOrder.slice(0, 5).flatMap((y) => [y, withSign(y)]);
  for (const y of smallOrder.slice(0, 5)) {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(y, 'hex').toString('base64url') }, format: 'jwk' });
    const forged = Array.from({ length: 64 }, (_, n) => Buffer.from(`message ${n}`)).some((message) =>
      candidates.some((r) => verify(null, message, key, Buffer.concat([Buffer.from(r, 'hex'), Buffer.alloc(32)]))),
    );
    t.ok(forged, y);
  }
});

t.test('a registration key file has exactly keyId, algorithm and secret', async (t) => {
  const good = { keyId: 'shop-2026', algorithm: 'ed25519', secret: base64(SEED) };
  const parsed = parseRegistrationKey(good);
  t.match(parsed, { ok: true, key: { keyId: 'shop-2026', algorithm: 'ed25519' } });
  t.same(paths(parseRegistrationKey({ keyId: '-', algorithm: 'none', secret: 5, scope: '*' })), ['algorithm', 'keyId', 'scope', 'secret']);
  t.same(paths(parseRegistrationKey({})), ['algorithm', 'keyId', 'secret']);
});

t.test('an Ed25519 seed is 32 bytes, an HMAC secret 32 to 256', async (t) => {
  const lengths = (algorithm: string) =>
    [16, 31, 32, 33, 64, 256, 257].filter((length) => parseRegistrationKey({ keyId: 'k', algorithm, secret: base64(new Uint8Array(length)) }).ok);
  t.same(lengths('ed25519'), [32]);
  t.same(lengths('hmac-sha256'), [32, 33, 64, 256]);
});

t.test('no fault repeats a secret', async (t) => {
  const secret = base64(SEED).replace('=', '');
  const key = { keyId: 'k', algorithm: 'hmac-sha256', secret };
  for (const result of [parseRegistrationKey(key), parseKeyring({ keys: [hmacEntry({ secret })] }), parseKeyring({ keys: [keyEntry({ secret })] })]) {
    const faults = faultsOf(result);
    t.ok(faults.some(({ path }) => path.endsWith('secret')));
    t.notMatch(JSON.stringify(faults), secret.slice(0, 8));
  }
});

type Parsed = { ok: true } | { ok: false; faults: KeyFault[] };

function faultsOf(result: Parsed): KeyFault[] {
  return result.ok ? [] : result.faults;
}

function paths(result: Parsed): string[] {
  return faultsOf(result).map(({ path }) => path).sort();
}

function withSign(y: string): string {
  const bytes = Buffer.from(y, 'hex');
  bytes[31]! |= 0x80;
  return bytes.toString('hex');
}
