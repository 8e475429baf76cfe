// keyring.yaml: who may sign registrations.

import { isKeyId, parseKeyring } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS, yamlData } from './support/yaml-words.js';

const PUBLIC_KEY = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';
const SECRET = Buffer.alloc(32, 'secret-').toString('base64');
const SCOPE = "scope: {role: agent, identities: [alice], services: '*'}, notBefore: 2026-01-01T00:00:00Z, notAfter: 2027-01-01T00:00:00Z";

export const target: FuzzTarget = {
  decodes: 'readYaml, parseKeyring',
  maxBytes: 2048,
  memory: { base: 1_048_576, perByte: 8192 },
  dictionary: [
    ...YAML_WORDS, 'keys', 'keyId', 'algorithm', 'ed25519', 'hmac-sha256', 'publicKey', 'secret', 'scope', 'role', 'agent', 'connector', 'identities', 'services',
    "'*'", 'notBefore', 'notAfter', '2026-02-30T00:00:00Z', '+23:59', PUBLIC_KEY, SECRET,
  ],
  *seeds() {
    yield utf8(`keys:\n  - {keyId: k1, algorithm: ed25519, publicKey: ${PUBLIC_KEY}, ${SCOPE}}\n`);
    yield utf8(`keys: [{keyId: k2, algorithm: hmac-sha256, secret: ${SECRET}, ${SCOPE}}]\n`);
    yield utf8('keys: []\n');
  },
  run(input) {
    const parsed = parseKeyring(yamlData(input));
    if (!parsed.ok) {
      ensure(parsed.faults.length > 0, 'a refusal without a fault');
      ensure(!JSON.stringify(parsed.faults).includes(SECRET), 'a fault repeats a secret');
      return parsed.faults;
    }
    return parsed.keyring.keyIds.map((keyId) => {
      const key = parsed.keyring.find(keyId)!;
      ensure(isKeyId(keyId) && key.notBefore < key.notAfter, 'a key that is never active, or has no id');
      ensure(key.material.type === (key.algorithm === 'ed25519' ? 'public' : 'secret'), 'a key of another kind than its algorithm');
      return [keyId, key.algorithm, key.notBefore, key.notAfter, key.scope];
    });
  },
};
