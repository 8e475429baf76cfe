// policy.yaml: groups, and who may open what.

import { parsePolicy } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { YAML_WORDS, yamlData } from './support/yaml-words.js';

export const target: FuzzTarget = {
  decodes: 'readYaml, parsePolicy',
  maxBytes: 2048,
  memory: { base: 1_048_576, perByte: 8192 },
  dictionary: [...YAML_WORDS, 'groups', 'rules', 'allow', 'services', 'group:dev', 'alice', 'web'],
  *seeds() {
    yield utf8('groups: {dev: [alice, bob]}\nrules: [{allow: [alice, "group:dev"], services: [web, ssh-box]}]\n');
    yield utf8('rules: []\n');
    yield utf8('groups: {__proto__: [a]}\nrules: [{allow: ["group:__proto__"], services: [web]}]\n');
    yield utf8('null');
  },
  run(input) {
    const data = yamlData(input);
    const parsed = parsePolicy(data);
    if (!parsed.ok) {
      ensure(parsed.faults.length > 0 && parsed.faults.every(({ message }) => message !== ''), 'a refusal without a fault');
      return parsed.faults;
    }
    const { groups = {}, rules = [] } = data as Document;
    const mayOpen = (agent: string, service: string): boolean =>
      rules.some(({ allow, services }) => services.includes(service) && allow.some((entry) => (entry.startsWith('group:') ? groups[entry.slice(6)]!.includes(agent) : entry === agent)));
    const names = ['alice', 'bob', 'constructor', 'web', ...rules.flatMap(({ allow, services }) => [...allow, ...services])].slice(0, 24);
    return names.map((agent) => names.map((service) => {
      const decision = parsed.policy.decide(agent, service);
      ensure((decision === 'allow') === mayOpen(agent, service), `${agent} to ${service}: ${decision}, against the rules as written`);
      return decision;
    }));
  },
};

/** What an accepted document looks like. */
interface Document {
  readonly groups?: Record<string, string[]>;
  readonly rules?: { readonly allow: string[]; readonly services: string[] }[];
}
