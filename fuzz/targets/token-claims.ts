// A token's payload as a key holder may write it: one encoding of valid claims, or a refusal.

import { BINDING_BYTES, decodeClaims, encodeClaims, NONCE_BYTES } from '@ztna/protocol';
import { equal } from './support/chunks.js';
import { CBOR_WORDS } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { CLAIM_WORDS, goodPayload } from './support/token-parts.js';

export const target: FuzzTarget = {
  decodes: 'decodeClaims',
  maxBytes: 4096,
  memory: { base: 262_144, perByte: 1024 },
  dictionary: [...CBOR_WORDS, ...CLAIM_WORDS.map((word) => Buffer.from(word, 'latin1'))],
  *seeds() {
    yield goodPayload();
    yield goodPayload({ role: 'agent', services: [], issuedAt: 5 });
    yield goodPayload({ services: Array.from({ length: 65 }, (_, n) => `s${n}`) });
  },
  run(input) {
    const decoded = decodeClaims(input);
    if (!decoded.ok) {
      ensure(decoded.reason.length < 400, `a reason of ${decoded.reason.length} characters`);
      return decoded;
    }
    const { claims } = decoded;
    ensure(equal(encodeClaims(claims), input), 'accepted another encoding than the one');
    ensure(claims.nonce.length === NONCE_BYTES && claims.binding.length === BINDING_BYTES, 'a nonce or binding of the wrong length');
    return claims;
  },
};
