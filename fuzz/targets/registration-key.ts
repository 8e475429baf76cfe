// A client's registration key file.

import { parseRegistrationKey, SIGNATURE_BYTES } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS, yamlData } from './support/yaml-words.js';

const SECRET = Buffer.alloc(32, 'secret-').toString('base64');

export const target: FuzzTarget = {
  decodes: 'readYaml, parseRegistrationKey',
  maxBytes: 1024,
  memory: { base: 2_097_152, perByte: 8192 },
  dictionary: [...YAML_WORDS, 'keyId', 'algorithm', 'secret', 'ed25519', 'hmac-sha256', SECRET, '=', '=='],
  *seeds() {
    yield utf8(`keyId: alice-1\nalgorithm: hmac-sha256\nsecret: ${SECRET}\n`);
    yield utf8('keyId: alice-1\nalgorithm: ed25519\nsecret: AAAA\n');
  },
  run(input) {
    const parsed = parseRegistrationKey(yamlData(input));
    if (!parsed.ok) {
      ensure(parsed.faults.length > 0 && !JSON.stringify(parsed.faults).includes(SECRET), 'no fault, or one that repeats the secret');
      return parsed.faults;
    }
    const { key } = parsed;
    ensure(!JSON.stringify(key).includes(SECRET), 'the secret shows');
    // An Ed25519 signature in JavaScript takes 9 ms, and says nothing about the file.
    if (key.algorithm === 'hmac-sha256') ensure(key.sign(input.slice()).length === SIGNATURE_BYTES[key.algorithm], 'a signature of another length');
    return [key.keyId, key.algorithm];
  },
};
