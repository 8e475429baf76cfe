// Every way a token can be refused, by its exact code, and the ways it must be accepted.

import {
  controlSchema,
  MAX_TOKEN_LIFE_MS,
  ReplayLog,
  type FailureCode,
  type Identity,
  type Keyring,
  type TokenContext,
} from '@ztna/protocol';
import { Encoder } from 'cbor-x';
import t from 'tap';
import {
  AUDIENCE,
  CONNECTOR,
  context,
  FINGERPRINT,
  fixedNonce,
  hmacEntry,
  keyEntry,
  keyringOf,
  mint,
  NOW,
  outcome,
  publicKeyOf,
  base64,
  registrationKey,
  SEED,
  sealPayload,
  seedOf,
  verdict,
} from './token-fixture.js';

const agent: Identity = { trustDomain: 'corp.example', role: 'agent', name: 'alice' };

t.test('a good token is accepted with its claims and key id', async (t) => {
  t.same(verdict(mint({ services: ['web', 'db'], ttlSeconds: 45 })), {
    ok: true,
    keyId: 'shop-2026',
    claims: {
      issuedAt: NOW,
      ttlSeconds: 45,
      nonce: fixedNonce(16),
      role: 'connector',
      identity: 'spiffe://corp.example/connector/shop',
      services: ['web', 'db'],
      audience: AUDIENCE,
      binding: FINGERPRINT,
    },
  });
});

t.test('an HMAC token is accepted by a key of that algorithm', async (t) => {
  t.equal(outcome(mint({}, registrationKey('shop-2026', 'hmac-sha256')), {}, keyringOf(hmacEntry())), 'ok');
});

t.test('an agent registers with no services', async (t) => {
  const keyring = keyringOf(keyEntry({ scope: { role: 'agent', identities: '*', services: [] } }));
  t.equal(outcome(mint({ identity: agent, services: [] }), { identity: agent, certificateServices: [] }, keyring), 'ok');
});

t.test('claims outlive the buffer the token came in', async (t) => {
  const token = mint();
  const result = verdict(token);
  token.fill(0);
  t.same(result.ok && [result.claims.nonce, result.claims.binding], [fixedNonce(16), FINGERPRINT]);
});

interface Refusal {
  readonly title: string;
  readonly code: FailureCode;
  readonly says: RegExp;
  readonly token: Uint8Array;
  readonly context?: Partial<TokenContext>;
  readonly keyring?: Keyring;
}

const scoped = (scope: Record<string, unknown>): Keyring =>
  keyringOf(keyEntry({ scope: { role: 'connector', identities: '*', services: '*', ...scope } }));

const refusals: Refusal[] = [
  { title: 'garbage', code: 'token_malformed', says: /version is 255; must be 1/, token: new Uint8Array(100).fill(255) },
  { title: 'a key id with a line break', code: 'token_malformed', says: /keyId must be/, token: sealPayload(new Uint8Array(), 'ed25519', 'shop\n2026') },
  { title: 'a single byte', code: 'token_malformed', says: /1 bytes; its head alone is 2/, token: mint().subarray(0, 1) },
  { title: 'a token cut inside the key id', code: 'token_malformed', says: /ends inside the key id/, token: mint().subarray(0, 8) },
  { title: 'a token cut inside the payload length', code: 'token_malformed', says: /ends inside the key id or payload length/, token: mint().subarray(0, 12) },
  { title: 'a token cut inside the payload', code: 'token_malformed', says: /100 bytes; ends inside the payload of/, token: mint().subarray(0, 100) },
  { title: 'a signature one byte short', code: 'token_malformed', says: /63 bytes follow the payload; a signature is 64 or 32/, token: mint().subarray(0, -1) },
  { title: 'a token over 8192 bytes', code: 'token_malformed', says: /8193 bytes; at most 8192/, token: new Uint8Array(8193) },
  { title: 'an unknown key', code: 'token_unknown_key', says: /keyId is other/, token: mint({}, registrationKey('other')) },
  { title: 'a token signed with another key under the same id', code: 'token_bad_signature', says: /shop-2026/, token: mint({}, registrationKey('shop-2026', 'ed25519', seedOf(9))) },
  { title: 'an HMAC by the public key where the keyring says Ed25519', code: 'token_bad_signature', says: /shop-2026/, token: mint({}, registrationKey('shop-2026', 'hmac-sha256', publicKeyOf(SEED))) },
  { title: 'an Ed25519 signature where the keyring says HMAC', code: 'token_bad_signature', says: /shop-2026/, token: mint(), keyring: keyringOf(hmacEntry()) },
  { title: 'an HMAC with another secret', code: 'token_bad_signature', says: /shop-2026/, token: mint({}, registrationKey('shop-2026', 'hmac-sha256', seedOf(9))), keyring: keyringOf(hmacEntry()) },
  { title: 'a ttl of 61 s', code: 'token_ttl_too_long', says: /ttlSeconds is 61; at most 60/, token: mint({ ttlSeconds: 61 }) },
  { title: 'another relay of the same domain', code: 'token_wrong_audience', says: /audience is .*relay-2; this relay is .*relay-1/, token: mint({ audience: 'spiffe://corp.example/relay/relay-2' }) },
  { title: 'a relay of that name in another domain', code: 'token_wrong_audience', says: /evil\.example/, token: mint({ audience: 'spiffe://evil.example/relay/relay-1' }) },
  { title: 'another certificate', code: 'token_wrong_binding', says: /SHA-256/, token: mint({ binding: seedOf(1) }) },
  { title: 'a fingerprint of the wrong length', code: 'token_wrong_binding', says: /SHA-256/, token: mint(), context: { fingerprint: FINGERPRINT.subarray(1) } },
  { title: 'another name than the certificate', code: 'token_identity_mismatch', says: /identity is .*\/bank; the certificate says .*\/shop/, token: mint({ identity: { ...CONNECTOR, name: 'bank' } }) },
  { title: 'another trust domain than the certificate', code: 'token_identity_mismatch', says: /evil/, token: mint({ identity: { ...CONNECTOR, trustDomain: 'evil.example' } }) },
  { title: 'another role than the certificate', code: 'token_identity_mismatch', says: /agent\/shop/, token: mint({ identity: { ...CONNECTOR, role: 'agent' } }) },
  { title: 'a role claim that its own identity contradicts', code: 'token_identity_mismatch', says: /role is agent/, token: sealPayload(claimsCbor({ role: 'agent' })) },
  { title: 'a role outside the key', code: 'token_out_of_scope', says: /role connector .* shop-2026/, token: mint(), keyring: scoped({ role: 'agent' }) },
  { title: 'an identity outside the key', code: 'token_out_of_scope', says: /identity shop/, token: mint(), keyring: scoped({ identities: ['bank'] }) },
  { title: 'a service outside the key, though in the certificate', code: 'token_out_of_scope', says: /service admin/, token: mint({ services: ['web', 'admin'] }) },
  { title: 'any service, with a key for none', code: 'token_out_of_scope', says: /service web/, token: mint(), keyring: scoped({ services: [] }) },
  { title: 'a service in scope that the certificate lacks', code: 'service_not_in_certificate', says: /service db is not among the 1/, token: mint({ services: ['web', 'db'] }), context: { certificateServices: ['web'] } },
  { title: '65 services', code: 'too_many_services', says: /65 named; at most 64/, token: sealPayload(claimsCbor({ services: Array.from({ length: 65 }, (_, i) => `s${i}`) })) },
];

for (const { title, code, says, token, context, keyring } of refusals) {
  t.test(`refuses ${title}: ${code}`, async (t) => {
    const result = verdict(token, context, keyring);
    t.equal(result.ok ? 'ok' : result.code, code);
    t.match(result.ok ? '' : result.reason, says);
  });
}

t.test('a token is live from 30 s before issuedAt until ttl + 30 s after it, to the millisecond', async (t) => {
  const token = mint({ ttlSeconds: 10 });
  t.equal(outcome(token, { now: NOW - 30_001 }), 'token_from_future');
  t.equal(outcome(token, { now: NOW - 30_000 }), 'ok');
  t.equal(outcome(token, { now: NOW + 39_999 }), 'ok');
  t.equal(outcome(token, { now: NOW + 40_000 }), 'token_expired');
});

t.test('a clock that is not a number accepts nothing', async (t) => {
  t.equal(outcome(mint(), { now: NaN }), 'token_key_inactive');
});

t.test('a key is active from notBefore until just before notAfter', async (t) => {
  const at = (iso: string, offset: number) => {
    const now = Date.parse(iso) + offset;
    return outcome(mint({}, registrationKey(), now), { now });
  };
  t.equal(at('2026-01-01T00:00:00Z', -1), 'token_key_inactive');
  t.equal(at('2026-01-01T00:00:00Z', 0), 'ok');
  t.equal(at('2026-02-01T00:00:00Z', -1), 'ok');
  t.equal(at('2026-02-01T00:00:00Z', 0), 'token_key_inactive');
});

t.test('old and new key are both accepted while they overlap, and only then', async (t) => {
  const old = keyEntry({ keyId: 'old', notAfter: '2026-01-20T00:00:00Z' });
  const next = keyEntry({ keyId: 'new', publicKey: base64(publicKeyOf(seedOf(7))), notBefore: '2026-01-10T00:00:00Z' });
  const keyring = keyringOf(old, next);
  const at = (iso: string) => {
    const now = Date.parse(iso);
    const oldToken = mint({}, registrationKey('old'), now);
    const newToken = mint({}, registrationKey('new', 'ed25519', seedOf(7)), now);
    return [outcome(oldToken, { now }, keyring), outcome(newToken, { now }, keyring)];
  };
  t.same(at('2026-01-05T00:00:00Z'), ['ok', 'token_key_inactive']);
  t.same(at('2026-01-15T00:00:00Z'), ['ok', 'ok']);
  t.same(at('2026-01-25T00:00:00Z'), ['token_key_inactive', 'ok']);
});

t.test('a token is accepted once, also after the keyring was reloaded', async (t) => {
  const replayLog = new ReplayLog();
  const token = mint();
  t.equal(outcome(token, {}, keyringOf(keyEntry()), replayLog), 'ok');
  t.equal(outcome(token, {}, keyringOf(keyEntry()), replayLog), 'token_replayed');
  t.equal(outcome(token, {}, keyringOf(), replayLog), 'token_unknown_key');
  t.equal(outcome(token, {}, keyringOf(keyEntry()), replayLog), 'token_replayed');
});

t.test('two keys may use the same nonce', async (t) => {
  const replayLog = new ReplayLog();
  const keyring = keyringOf(keyEntry(), keyEntry({ keyId: 'second' }));
  t.equal(outcome(mint(), {}, keyring, replayLog), 'ok');
  t.equal(outcome(mint({}, registrationKey('second')), {}, keyring, replayLog), 'ok');
});

t.test('a refused token is not used up and takes no memory', async (t) => {
  const replayLog = new ReplayLog();
  const token = mint({ services: ['web', 'db'] });
  t.equal(outcome(token, { certificateServices: ['web'] }, undefined, replayLog), 'service_not_in_certificate');
  t.equal(replayLog.size, 0);
  t.equal(outcome(token, {}, undefined, replayLog), 'ok');
});

t.test('a full replay log refuses with its own code and recovers once tokens expire', async (t) => {
  const replayLog = new ReplayLog({ maxNoncesPerKey: 1 });
  const sealed = (nonce: number, issuedAt = NOW) => sealPayload(claimsCbor({ nonce: new Uint8Array(16).fill(nonce), issuedAt: BigInt(issuedAt) }));
  t.equal(outcome(sealed(1), {}, undefined, replayLog), 'ok');
  t.equal(outcome(sealed(2), {}, undefined, replayLog), 'token_replay_log_full');
  const later = NOW + 90_000;
  t.equal(outcome(sealed(3, later), { now: later }, undefined, replayLog), 'ok');
});

t.test('a token used before the clock was set back stays refused', async (t) => {
  const replayLog = new ReplayLog();
  const token = mint();
  t.equal(outcome(token, {}, undefined, replayLog), 'ok');
  const ahead = NOW + MAX_TOKEN_LIFE_MS;
  const other = sealPayload(claimsCbor({ nonce: seedOf(1).subarray(16), issuedAt: BigInt(ahead) }));
  t.equal(outcome(other, { now: ahead }, undefined, replayLog), 'ok');
  t.equal(replayLog.size, 1, 'the first nonce is forgotten');
  t.equal(outcome(token, {}, undefined, replayLog), 'token_expired');
});

t.test('the earliest failing step names the code', async (t) => {
  // One token wrong in every way; each line repairs the step the line before stopped at.
  const wrong = { identity: agent, audience: 'spiffe://corp.example/relay/x', binding: seedOf(1), services: ['web', 'nope'] };
  const old = NOW - 200_000;
  const forged = registrationKey('shop-2026', 'ed25519', seedOf(9));
  t.equal(outcome(mint({ ...wrong, ttlSeconds: 61 }, forged, old)), 'token_bad_signature');
  t.equal(outcome(mint({ ...wrong, ttlSeconds: 61 }, registrationKey(), old)), 'token_ttl_too_long');
  t.equal(outcome(mint(wrong, registrationKey(), old)), 'token_expired');
  t.equal(outcome(mint(wrong)), 'token_wrong_audience');
  t.equal(outcome(mint({ ...wrong, audience: AUDIENCE })), 'token_wrong_binding');
  t.equal(outcome(mint({ ...wrong, audience: AUDIENCE, binding: FINGERPRINT })), 'token_identity_mismatch');
  t.equal(outcome(mint({ services: ['web', 'nope'] })), 'token_out_of_scope');
});

t.test('every reason fits a registerNack, however long the names', async (t) => {
  const label = 'a'.repeat(60);
  const longDomain = `${label}.${label}.${label.slice(0, 50)}`;
  const audience = `spiffe://${longDomain}/relay/${label}`;
  const result = verdict(mint({ audience }), { audience: audience.replace('/relay/a', '/relay/b') });
  t.equal(result.ok ? 'ok' : result.code, 'token_wrong_audience');
  const nack = { type: 'registerNack', code: 'token_wrong_audience', reason: result.ok ? '' : result.reason };
  t.ok(controlSchema('registerNack').safeParse(nack).success, `${nack.reason.length} characters`);
});

t.test('no refusal repeats a secret', async (t) => {
  const secrets = [base64(SEED), Buffer.from(SEED).toString('hex'), Buffer.from(SEED).toString('base64url')];
  for (const { token, context, keyring } of refusals) {
    const text = JSON.stringify(verdict(token, context, keyring));
    t.notOk(secrets.some((secret) => text.includes(secret)));
  }
});

/** Deterministic CBOR of good claims with changes, past what `mintToken` would agree to. */
function claimsCbor(changes: Record<string, unknown>): Uint8Array {
  return new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false }).encode({
    role: 'connector',
    nonce: fixedNonce(16),
    binding: FINGERPRINT,
    audience: AUDIENCE,
    identity: 'spiffe://corp.example/connector/shop',
    issuedAt: BigInt(context().now),
    services: ['web'],
    ttlSeconds: 60,
    ...changes,
  });
}
