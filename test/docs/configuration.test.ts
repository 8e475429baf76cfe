// docs/configuration.md against the schemas: every example block loads, and the tables name exactly the
// keys that the schemas know.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { z } from 'zod';
import { agentSchema } from '@ztna/agent';
import { connectorSchema } from '@ztna/app-connector';
import { relaySchema } from '@ztna/intermediate-server';
import { parseConfig, parseKeyring, parsePolicy, parseRegistrationKey, parseRevocations } from '@ztna/protocol';

const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
const blocks = new Map([...page.matchAll(/^```yaml (\S+)\n([\s\S]*?)^```$/gm)].map(([, name, yaml]) => [name!, yaml!]));

const SCHEMAS = { 'relay.yaml': relaySchema, 'connector.yaml': connectorSchema, 'agent.yaml': agentSchema } as const;
const PARSERS = {
  'policy.yaml': parsePolicy,
  'denylist.yaml': parseRevocations,
  'keyring.yaml': parseKeyring,
  regkey: parseRegistrationKey,
} as const;

void t.test('there is one example of each file', async (t) => {
  t.strictSame([...blocks.keys()].sort(), [...Object.keys(SCHEMAS), ...Object.keys(PARSERS)].sort());
});

for (const [name, schema] of Object.entries(SCHEMAS)) {
  void t.test(`the example of ${name} is valid`, async (t) => {
    const parsed = parseConfig(blocks.get(name)!, schema, '/etc/ztna');
    t.strictSame(parsed.ok ? [] : parsed.faults, []);
  });

  void t.test(`the table of ${name} names exactly the keys of its schema`, async (t) => {
    const keys = keysOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as unknown as Node);
    t.strictSame(tableKeys(name), keys.sort());
  });

  void t.test(`what ${name} cannot do without is what the table says`, async (t) => {
    const empty = parseConfig('{}', schema, '/etc/ztna');
    const missing = empty.ok ? [] : empty.faults.map(({ keyPath }) => keyPath);
    const required = requiredKeys(name).filter((key) => !/[[*]/.test(key)).map((key) => key.split('.')[0]!);
    t.strictSame(missing.sort(), [...new Set(required)].sort());
  });
}

for (const [name, parse] of Object.entries(PARSERS)) {
  void t.test(`the example of ${name} is valid`, async (t) => {
    const data = parseConfig(blocks.get(name)!, z.unknown(), '/etc/ztna');
    const parsed = parse(data.ok ? data.config : undefined);
    t.strictSame(parsed.ok ? [] : parsed.faults, []);
  });
}

void t.test('the table of the keyring names every key of the examples', async (t) => {
  t.strictSame(tableKeys('keyring.yaml'), [
    'keys', 'keys[].algorithm', 'keys[].keyId', 'keys[].notAfter', 'keys[].notBefore', 'keys[].publicKey',
    'keys[].scope.identities', 'keys[].scope.role', 'keys[].scope.services', 'keys[].secret',
  ]);
});

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
}

/** `relays[].address`, `services.*.allow`: leaves, and the lists and maps on the way. */
function keysOf(node: Node, path = ''): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => keysAt(child, path === '' ? key : `${path}.${key}`));
}

function keysAt(child: Node, path: string): string[] {
  if (child.properties) return keysOf(child, path);
  const element = child.items ?? (typeof child.additionalProperties === 'object' ? child.additionalProperties : undefined);
  return element?.properties ? [path, ...keysOf(element, child.items ? `${path}[]` : `${path}.*`)] : [path];
}

function section(name: string): string {
  const start = page.indexOf(`## ${name}\n`);
  return page.slice(start, page.indexOf('\n## ', start + 1));
}

function tableKeys(name: string): string[] {
  return [...section(name).matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key!).sort();
}

function requiredKeys(name: string): string[] {
  return [...section(name).matchAll(/^\| `([^`]+)` \| [^|]+ \| required \|/gm)].map(([, key]) => key!);
}
