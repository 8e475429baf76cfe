// relay.yaml, connector.yaml and agent.yaml: the input is read as all three.

import { agentSchema } from '@ztna/agent';
import { connectorSchema } from '@ztna/app-connector';
import { relaySchema } from '@ztna/intermediate-server';
import { parseConfig } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS } from './support/yaml-words.js';

const TLS = 'tls: {ca: ca.pem, certificate: me.pem, key: me.key}\n';
const RELAYS = 'relays:\n  - {address: relay.example:4433, name: relay-1}\n';

export const target: FuzzTarget = {
  decodes: 'parseConfig with relaySchema, connectorSchema and agentSchema',
  maxBytes: 2048,
  memory: { base: 4_194_304, perByte: 32_768 },
  dictionary: [
    ...YAML_WORDS, 'listen', 'tls', 'keyring', 'policy', 'denyList', 'drainTimeout', 'udp', 'log', 'relays', 'address', 'name', 'registration', 'services', 'protocol', 'backend',
    'allow', 'listeners', 'service', 'level', 'format', '30s', '1.5m', '127.0.0.1:8080', '[::1]:8080', 'db.internal:5432', 'plain', 'batched', 'pretty', 'debug',
  ],
  *seeds() {
    yield utf8(`listen: 0.0.0.0:4433\n${TLS}keyring: keyring.yaml\npolicy: policy.yaml\ndrainTimeout: 30s\nlog: {level: info, format: json}\n`);
    yield utf8(`${RELAYS}${TLS}registration: {key: c.regkey}\nservices: {web: {protocol: tcp, backend: 127.0.0.1:8080, allow: [alice]}}\n`);
    yield utf8(`${RELAYS}${TLS}registration: {key: a.regkey}\nlisteners: [{service: web, protocol: udp, listen: '[::1]:8080'}]\nudp: plain\n`);
    yield utf8('listen: 4433\nlog: {level: loud, key: secret}\nserivces: {}\n');
  },
  run(input) {
    const results = [relaySchema, connectorSchema, agentSchema].map((schema) => parseConfig(input, schema, '/etc/ztna'));
    for (const result of results) {
      if (result.ok) continue;
      ensure(result.faults.length > 0, 'a refusal without a fault');
      ensure(result.faults.every(({ line, problem }) => Number.isInteger(line) && line >= 1 && problem !== ''), 'a fault without a line or a word');
    }
    return results.map((result) => (result.ok ? result.config : result.faults));
  },
};
