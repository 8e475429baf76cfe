// A relay, a connector and their keys, with everything fixed, for the token tests. Each test changes one thing.

import { createHmac, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import {
  parseKeyring,
  parseRegistrationKey,
  ReplayLog,
  tokenBinding,
  verifyToken,
  mintToken,
  type FailureCode,
  type Identity,
  type Keyring,
  type RegistrationAlgorithm,
  type RegistrationKey,
  type TokenContext,
  type TokenRequest,
  type TokenVerdict,
} from '@ztna/protocol';
import nacl from 'tweetnacl';

export const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);
export const AUDIENCE = 'spiffe://corp.example/relay/relay-1';
export const CONNECTOR: Identity = { trustDomain: 'corp.example', role: 'connector', name: 'shop' };
export const FINGERPRINT = tokenBinding(new TextEncoder().encode('the leaf certificate'));
export const SEED = Uint8Array.from({ length: 32 }, (_, index) => index);

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
export const publicKeyOf = (seed: Uint8Array): Uint8Array => nacl.sign.keyPair.fromSeed(seed).publicKey;
export const seedOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
/** Not random, so that a golden token stays the same. */
export const fixedNonce = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => 0xa0 + index);

export const registrationKey = (
  keyId = 'shop-2026',
  algorithm: RegistrationAlgorithm = 'ed25519',
  secret: Uint8Array = SEED,
): RegistrationKey => {
  const parsed = parseRegistrationKey({ keyId, algorithm, secret: base64(secret) });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  return parsed.key;
};

/** One keyring entry as it is written in YAML; valid from 2026-01-01 to 2026-02-01. */
export const keyEntry = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  keyId: 'shop-2026',
  algorithm: 'ed25519',
  publicKey: base64(publicKeyOf(SEED)),
  scope: { role: 'connector', identities: ['shop'], services: ['web', 'db'] },
  notBefore: '2026-01-01T00:00:00Z',
  notAfter: '2026-02-01T00:00:00Z',
  ...changes,
});

export const hmacEntry = (changes: Record<string, unknown> = {}): Record<string, unknown> => {
  const { publicKey: _, ...rest } = keyEntry({ algorithm: 'hmac-sha256', secret: base64(SEED) });
  return { ...rest, ...changes };
};

export const keyringOf = (...keys: Record<string, unknown>[]): Keyring => {
  const parsed = parseKeyring({ keys });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  return parsed.keyring;
};

export const request = (changes: Partial<TokenRequest> = {}): TokenRequest => ({
  identity: CONNECTOR,
  services: ['web'],
  audience: AUDIENCE,
  binding: FINGERPRINT,
  ...changes,
});

export const mint = (changes: Partial<TokenRequest> = {}, key = registrationKey(), now = NOW): Uint8Array =>
  mintToken(request(changes), key, { now, randomBytes: fixedNonce });

export const context = (changes: Partial<TokenContext> = {}): TokenContext => ({
  identity: CONNECTOR,
  fingerprint: FINGERPRINT,
  audience: AUDIENCE,
  certificateServices: ['web', 'db', 'admin'],
  now: NOW,
  ...changes,
});

export const verdict = (
  token: Uint8Array,
  changes: Partial<TokenContext> = {},
  keyring: Keyring = keyringOf(keyEntry()),
  replayLog: ReplayLog = new ReplayLog(),
): TokenVerdict => verifyToken(token, context(changes), keyring, replayLog);

/** `ok`, or the code of the refusal. */
export const outcome = (...args: Parameters<typeof verdict>): 'ok' | FailureCode => {
  const result = verdict(...args);
  return result.ok ? 'ok' : result.code;
};

/** PKCS #8 wrapping of a seed, RFC 8410 §7. */
export const privateKeyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  });

/** An envelope built by hand around any payload, signed by node:crypto with a good key: what a hostile key holder sends. */
export const sealPayload = (
  payload: Uint8Array,
  algorithm: RegistrationAlgorithm = 'ed25519',
  keyId = 'shop-2026',
  domain = 'ztna-registration-v1\0',
): Uint8Array => {
  const id = Buffer.from(keyId);
  const unsigned = Buffer.concat([
    Buffer.from([1, id.length]),
    id,
    Buffer.from([payload.length >> 8, payload.length & 0xff]),
    payload,
  ]);
  const input = Buffer.concat([Buffer.from(domain), unsigned]);
  const signature = algorithm === 'ed25519' ? sign(null, input, privateKeyOf(SEED)) : createHmac('sha256', SEED).update(input).digest();
  return new Uint8Array(Buffer.concat([unsigned, signature]));
};
