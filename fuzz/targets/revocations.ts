// deny-list.yaml: certificates and identities that may not connect.

import { parseRevocations } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS, yamlData } from './support/yaml-words.js';

export const target: FuzzTarget = {
  decodes: 'readYaml, parseRevocations',
  maxBytes: 2048,
  memory: { base: 1_048_576, perByte: 8192 },
  dictionary: [...YAML_WORDS, 'serials', 'identities', 'agent/', 'connector/', 'alice', '00:', '0f3a'],
  *seeds() {
    yield utf8('serials: ["0f:3a", "00", "ABCDEF0123456789"]\nidentities: [agent/alice, connector/db-1]\n');
    yield utf8('serials: [123]\n');
    yield utf8('{}');
  },
  run(input) {
    const parsed = parseRevocations(yamlData(input));
    if (!parsed.ok) {
      ensure(parsed.faults.length > 0, 'a refusal without a fault');
      return parsed.faults;
    }
    const { revocations } = parsed;
    const data = yamlData(input) as { serials?: string[]; identities?: string[] };
    for (const serial of data.serials ?? [])
      ensure(revocations.revokes({ trustDomain: 'x', role: 'agent', name: 'nobody-else' }, serial.toUpperCase()), `serial ${serial} is listed and not revoked`);
    for (const identity of data.identities ?? []) {
      const [role, name] = identity.split('/') as ['agent', string];
      ensure(revocations.revokes({ trustDomain: 'x', role, name }, 'unlisted'), `${identity} is listed and not revoked`);
    }
    return revocations.size;
  },
};
