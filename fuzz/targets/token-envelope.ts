// The token's binary envelope: what nobody has verified yet.

import { concatBytes, encodeUnsignedToken, isKeyId, parseEnvelope, tokenSignatureInput } from '@ztna/protocol';
import { equal } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { goodPayload, signatureOf } from './support/token-parts.js';

export const target: FuzzTarget = {
  decodes: 'parseEnvelope',
  maxBytes: 8200,
  memory: { base: 16_384, perByte: 64 },
  *seeds() {
    for (const payload of [goodPayload(), new Uint8Array(0)]) {
      const unsigned = encodeUnsignedToken('k1', payload);
      yield concatBytes(unsigned, signatureOf(unsigned));
      yield concatBytes(unsigned, new Uint8Array(64));
    }
  },
  run(input) {
    const parsed = parseEnvelope(input);
    if (!parsed.ok) return parsed.reason;
    const { keyId, payload, signature, signatureInput } = parsed.envelope;
    ensure(isKeyId(keyId), 'a key id that is none');
    ensure(signature.length === 64 || signature.length === 32, `a signature of ${signature.length} bytes`);
    const unsigned = encodeUnsignedToken(keyId, payload);
    ensure(equal(concatBytes(unsigned, signature), input), 'encoding again gives other bytes');
    ensure(equal(signatureInput, tokenSignatureInput(unsigned)), 'what was signed is not what was read');
    return parsed.envelope;
  },
};
