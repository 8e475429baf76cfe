// The whole verification, with the payload signed by a key of the keyring, so that the search gets past the
// signature: any payload a key holder can think of. The last byte breaks the signature when it is odd.

import { CLOCK_SKEW_MS, concatBytes, encodeUnsignedToken, formatIdentity, MAX_TOKEN_TTL_SECONDS, ReplayLog, verifyToken } from '@ztna/protocol';
import { concat } from './support/chunks.js';
import { CBOR_WORDS } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { CLAIM_WORDS, CONTEXT, goodPayload, KEYRING, NOW, signatureOf } from './support/token-parts.js';

export const target: FuzzTarget = {
  decodes: 'verifyToken',
  maxBytes: 4096,
  memory: { base: 262_144, perByte: 1024 },
  dictionary: [...CBOR_WORDS, ...CLAIM_WORDS.map((word) => Buffer.from(word, 'latin1'))],
  *seeds() {
    const changes = [
      {}, { services: [] }, { services: ['db'] }, { ttlSeconds: 61 }, { issuedAt: NOW + CLOCK_SKEW_MS + 1 }, { issuedAt: 1 },
      { audience: 'spiffe://corp.example/relay/relay-2' }, { identity: 'spiffe://corp.example/connector/c2' }, { binding: new Uint8Array(32) },
    ];
    for (const change of changes) yield concat(goodPayload(change), Uint8Array.of(0));
    yield concat(goodPayload(), Uint8Array.of(1));
  },
  run(input) {
    const payload = input.subarray(0, -1);
    const isForged = (input.at(-1) ?? 0) % 2 === 1;
    const unsigned = encodeUnsignedToken('k1', payload);
    const signature = signatureOf(unsigned).slice();
    if (isForged) signature[0]! ^= 1;
    const token = concatBytes(unsigned, signature);
    const replays = new ReplayLog();
    const verdict = verifyToken(token, CONTEXT, KEYRING, replays);
    if (!verdict.ok) {
      ensure(verdict.reason.length <= 256, 'a reason too long for a registerNack');
      return verdict;
    }
    const { claims } = verdict;
    ensure(!isForged, 'a forged signature was accepted');
    ensure(claims.audience === CONTEXT.audience && claims.identity === formatIdentity(CONTEXT.identity) && claims.role === 'connector', 'accepted for somebody else');
    ensure(claims.ttlSeconds <= MAX_TOKEN_TTL_SECONDS && Math.abs(claims.issuedAt - NOW) <= CLOCK_SKEW_MS + claims.ttlSeconds * 1000, 'accepted out of time');
    ensure(claims.services.every((service) => CONTEXT.certificateServices.includes(service)), 'accepted a service the certificate lacks');
    ensure(Buffer.compare(claims.binding, CONTEXT.fingerprint) === 0, 'accepted over another certificate');
    const second = verifyToken(token, CONTEXT, KEYRING, replays);
    ensure(!second.ok && second.code === 'token_replayed', 'accepted twice');
    return verdict;
  },
};
