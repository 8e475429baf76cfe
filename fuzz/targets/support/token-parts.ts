// A keyring, a key and good claims: what a token needs to get past its signature.

import { createHmac } from 'node:crypto';
import { encodeClaims, Keyring, parseKeyring, TOKEN_DOMAIN, type TokenClaims, type TokenContext } from '@ztna/protocol';

export const NOW = 1_700_000_000_000;
const SECRET = Buffer.alloc(32, 0x5c);

export const CONTEXT: TokenContext = {
  identity: { trustDomain: 'corp.example', role: 'connector', name: 'c1' },
  fingerprint: new Uint8Array(32).fill(3),
  audience: 'spiffe://corp.example/relay/relay-1',
  certificateServices: ['web', 'ssh-box'],
  now: NOW,
};

export const CLAIMS: TokenClaims = {
  issuedAt: NOW,
  ttlSeconds: 60,
  nonce: new Uint8Array(16).fill(9),
  role: 'connector',
  identity: 'spiffe://corp.example/connector/c1',
  services: ['web', 'ssh-box'],
  audience: CONTEXT.audience,
  binding: CONTEXT.fingerprint,
};

export const goodPayload = (changes: Partial<TokenClaims> = {}): Uint8Array => Uint8Array.from(encodeClaims({ ...CLAIMS, ...changes }));

const parsed = parseKeyring({
  keys: [{
    keyId: 'k1', algorithm: 'hmac-sha256', secret: SECRET.toString('base64'),
    scope: { role: 'connector', identities: '*', services: '*' }, notBefore: '2020-01-01T00:00:00Z', notAfter: '2040-01-01T00:00:00Z',
  }],
});
export const KEYRING: Keyring = parsed.ok ? parsed.keyring : new Keyring([]);

/** HMAC-SHA256 over the domain and `unsigned`, as key k1 would. */
export const signatureOf = (unsigned: Uint8Array): Uint8Array => createHmac('sha256', SECRET).update(TOKEN_DOMAIN).update(unsigned).digest();

/** CBOR of the claims' keys and some values. */
export const CLAIM_WORDS: readonly string[] = [
  ...['role', 'nonce', 'binding', 'audience', 'identity', 'issuedAt', 'services', 'ttlSeconds', 'agent', 'relay', 'web'].map((word) => String.fromCharCode(0x60 | word.length) + word),
  '\x50', '\x58\x20', '\x1b\x00\x00\x01', '\x18\x3c',
];
