// What a hostile network or a hostile key holder can send: nothing throws, nothing altered is accepted.

import { ReplayLog, verifyToken } from '@ztna/protocol';
import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import t from 'tap';
import {
  AUDIENCE,
  context,
  FINGERPRINT,
  fixedNonce,
  hmacEntry,
  keyEntry,
  keyringOf,
  mint,
  NOW,
  outcome,
  registrationKey,
  sealPayload,
} from './token-fixture.js';

const good = {
  role: 'connector',
  nonce: fixedNonce(16),
  binding: FINGERPRINT,
  audience: AUDIENCE,
  identity: 'spiffe://corp.example/connector/shop',
  issuedAt: BigInt(NOW),
  services: ['web'],
  ttlSeconds: 60,
} as const;
const plain = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const cbor = (value: unknown): Buffer => Buffer.from(plain.encode(value));
const { role: _role, ...withoutRole } = good;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const item = (key: string): Buffer => Buffer.concat([Buffer.from([0x60 + key.length]), Buffer.from(key)]);
const body = cbor(good).subarray(1);

const twins = [
  { algorithm: 'ed25519', keyring: keyringOf(keyEntry()) },
  { algorithm: 'hmac-sha256', keyring: keyringOf(hmacEntry()) },
] as const;

for (const { algorithm, keyring } of twins) {
  const token = mint({}, registrationKey('shop-2026', algorithm));
  const accepts = (bytes: Uint8Array): boolean => verifyToken(bytes, context(), keyring, new ReplayLog()).ok;

  t.test(`${algorithm}: the token itself is accepted, so that the refusals below mean something`, async (t) => {
    t.ok(accepts(token));
  });

  t.test(`${algorithm}: every truncation is refused, from either end`, async (t) => {
    for (let length = 0; length < token.length; length++) {
      if (accepts(token.subarray(0, length))) t.fail(`accepted its first ${length} bytes`);
      if (accepts(token.subarray(token.length - length))) t.fail(`accepted its last ${length} bytes`);
    }
  });

  t.test(`${algorithm}: every flip of one bit is refused`, async (t) => {
    for (let bit = 0; bit < token.length * 8; bit++) {
      const flipped = Uint8Array.from(token);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      if (accepts(flipped)) t.fail(`accepted with bit ${bit & 7} of byte ${bit >> 3} flipped`);
    }
  });

  t.test(`${algorithm}: trailing bytes are refused, also as many as make it the other signature's length`, async (t) => {
    for (const extra of [1, 2, 31, 32, 33, 64]) {
      t.notOk(accepts(new Uint8Array([...token, ...new Uint8Array(extra)])), `${extra} more`);
    }
  });

  t.test(`${algorithm}: a signature over another domain prefix, or none, is refused`, async (t) => {
    const sealed = (domain?: string) => outcome(sealPayload(cbor(good), algorithm, 'shop-2026', domain), {}, keyring);
    t.equal(sealed(), 'ok');
    t.equal(sealed(''), 'token_bad_signature');
    t.equal(sealed('ztna-registration-v2\0'), 'token_bad_signature');
  });
}

t.test('random bytes never throw and are never accepted', async () => {
  const keyring = keyringOf(keyEntry());
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => !verifyToken(bytes, context(), keyring, new ReplayLog()).ok),
    { numRuns: 2000 },
  );
});

t.test('random bytes after a good head, length and key id never throw and are never accepted', async () => {
  const keyring = keyringOf(keyEntry());
  const head = Buffer.concat([Buffer.from([1, 9]), Buffer.from('shop-2026')]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 64, maxLength: 64 }), (payload, signature) => {
      const length = Buffer.from([payload.length >> 8, payload.length & 0xff]);
      const token = Buffer.concat([head, length, payload, signature]);
      const result = verifyToken(token, context(), keyring, new ReplayLog());
      return !result.ok && result.code === 'token_bad_signature';
    }),
  );
});

t.test('random bytes signed by a key holder never throw and are never accepted', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (payload) => outcome(sealPayload(payload)) === 'token_malformed'));
});

t.test('any CBOR value signed by a key holder never throws and is never accepted', async () => {
  const encoder = new Encoder({ useRecords: false, variableMapSize: true });
  const anything = fc.anything({ withBigInt: false, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: true });
  fc.assert(
    fc.property(anything, (value) => {
      const payload = encoder.encode(value);
      return payload.length > 8000 || outcome(sealPayload(payload)) === 'token_malformed';
    }),
  );
});

t.test('the hand-made payload is accepted, so that its variations below mean something', async (t) => {
  t.equal(outcome(sealPayload(cbor(good))), 'ok');
});

const payloads: Record<string, Buffer> = {
  'nothing': Buffer.alloc(0),
  'a missing key': cbor(withoutRole),
  'an extra key': cbor({ ...good, algorithm: 'none' }),
  'keys in another order': cbor({ ...withoutRole, role: 'connector' }),
  'a repeated key': Buffer.concat([hex('a9'), body, item('ttlSeconds'), hex('3c').fill(0x0a)]),
  'a __proto__ key': Buffer.concat([hex('a9'), body, item('__proto__'), hex('a0')]),
  'a trailing byte in the payload': Buffer.concat([cbor(good), hex('00')]),
  'an indefinite map': Buffer.concat([hex('bf'), body, hex('ff')]),
  'a long map head': Buffer.concat([hex('b90008'), body]),
  'a tag around the map': Buffer.concat([hex('d9d9f7'), cbor(good)]),
  'an issue time as a float': cbor({ ...good, issuedAt: NOW }),
  'a fractional issue time': cbor({ ...good, issuedAt: NOW + 0.5 }),
  'a negative issue time': cbor({ ...good, issuedAt: -1 }),
  'an issue time past 2^53': cbor({ ...good, issuedAt: 2n ** 60n }),
  'a text as issue time': cbor({ ...good, issuedAt: String(NOW) }),
  'a ttl of 0': cbor({ ...good, ttlSeconds: 0 }),
  'a ttl below 0': cbor({ ...good, ttlSeconds: -60 }),
  'a ttl that is NaN': cbor({ ...good, ttlSeconds: NaN }),
  'a nonce of 15 bytes': cbor({ ...good, nonce: fixedNonce(15) }),
  'a nonce of 17 bytes': cbor({ ...good, nonce: fixedNonce(17) }),
  'a nonce as text': cbor({ ...good, nonce: 'a'.repeat(16) }),
  'a binding of 31 bytes': cbor({ ...good, binding: FINGERPRINT.subarray(1) }),
  'a role nobody knows': cbor({ ...good, role: 'admin' }),
  'an identity that is no SPIFFE URI': cbor({ ...good, identity: 'CN=shop' }),
  'an audience that is no SPIFFE URI': cbor({ ...good, audience: 'relay-1' }),
  'a service name with a dot': cbor({ ...good, services: ['web.svc'] }),
  'an upper-case service': cbor({ ...good, services: ['WEB'] }),
  'a service twice': cbor({ ...good, services: ['web', 'web'] }),
  'a service that is a number': cbor({ ...good, services: [1] }),
  'services as text': cbor({ ...good, services: 'web' }),
  'arrays nested 8000 deep': Buffer.alloc(8000, 0x81),
  'maps nested 4000 deep': Buffer.concat([Buffer.alloc(4000, 0xa1), Buffer.alloc(4000, 0x00)]),
  'an array of 2^32 - 1': hex('9affffffff'),
  'an array of 10^8': hex('9a05f5e100'),
  'arrays of 10^6 in each other': Buffer.concat(Array.from({ length: 1600 }, () => hex('9a000f4240'))),
  'a map of 2^32 - 1': hex('baffffffff'),
  'a text of 2^32 - 1': hex('7affffffff'),
  'a shared reference to itself': hex('d81c81d81d00'),
  'a record definition': hex('d9dfff83019f6161ff01'),
};

for (const [title, payload] of Object.entries(payloads)) {
  t.test(`a key holder's payload with ${title} is malformed`, async (t) => {
    t.equal(outcome(sealPayload(payload)), 'token_malformed');
  });
}
