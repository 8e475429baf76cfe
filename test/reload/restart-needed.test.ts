// What a reload cannot take up is named in the log, key by key: of each configuration file, every key is known either to
// take hold at once or to be reported.

import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { agentSchema, loadAgentSettings, needsRestart as agentNeedsRestart } from '@ztna/agent';
import { connectorSchema, loadConnectorSettings, needsRestart as connectorNeedsRestart } from '@ztna/app-connector';
import { loadRelaySettings, needsRestart as relayNeedsRestart, relaySchema } from '@ztna/intermediate-server';
import { Lab } from '../harness/lab.js';

interface Change {
  /** The new value of the key; undefined takes it out. */
  readonly to: unknown;
  /** What the log names; none: a reload takes it up. */
  readonly restart: readonly string[];
}

type Changes = Readonly<Record<string, Change>>;

const live = (to: unknown): Change => ({ to, restart: [] });
const HEALTH = { listen: '127.0.0.1:9433', metrics: true };

const RELAY: Changes = {
  listen: { to: '127.0.0.1:4434', restart: ['listen'] },
  workers: { to: 2, restart: ['workers'] },
  tls: live({ ca: 'ca.crt', certificate: 'renewed.crt', key: 'renewed.key' }),
  keyring: live('keyring-2.yaml'),
  policy: live('policy-2.yaml'),
  denyList: live('deny.yaml'),
  journal: { to: false, restart: ['journal'] },
  retryKey: live('retry.key'),
  drainTimeout: { to: '1s', restart: ['drainTimeout'] },
  limits: { to: { connections: 7, queues: { total: '64MiB', bytes: '1MiB' }, restart: { promptsPerSecond: 9 } }, restart: ['limits.queues.total'] },
  udp: { to: 'plain', restart: ['udp'] },
  log: { to: { level: 'warn' }, restart: ['log'] },
  health: { to: undefined, restart: ['health'] },
  'health.listen': { to: '127.0.0.1:9999', restart: ['health.listen'] },
  'health.metrics': { to: false, restart: ['health.metrics'] },
  'health.tls': { to: true, restart: ['health.tls'] },
  'health.token': live('a.token'),
  'health.clients': live([]),
};

const LINK: Changes = {
  relays: { to: [{ address: '127.0.0.1:4455', name: 'relay-2' }], restart: ['relays'] },
  registration: live({ key: 'renewed.regkey' }),
  udp: RELAY['udp']!,
  log: RELAY['log']!,
  health: RELAY['health']!,
  'health.listen': RELAY['health.listen']!,
  'health.metrics': RELAY['health.metrics']!,
  'health.token': RELAY['health.token']!,
};

const CONNECTOR: Changes = {
  ...LINK,
  tls: live({ ca: 'ca.crt', certificate: 'con-renewed.crt', key: 'con-renewed.key' }),
  services: { to: { ssh: { backend: '127.0.0.1:23', allow: ['bob'] }, web: { backend: '127.0.0.1:80', allow: '*' } }, restart: ['services.mail'] },
  'health.tls': RELAY['health.tls']!,
  'health.clients': RELAY['health.clients']!,
  'health.probeInterval': { to: '1s', restart: ['health.probeInterval'] },
};

const AGENT: Changes = {
  ...LINK,
  tls: live({ ca: 'ca.crt', certificate: 'alice-renewed.crt', key: 'alice-renewed.key' }),
  listeners: { to: [{ service: 'ssh', listen: '127.0.0.1:2222' }], restart: ['listeners'] },
};

/** As in the sections of the schemas, so that a new key has to be thought of here. */
const keysOf = (schema: z.ZodType): string[] => {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as { properties?: Record<string, { properties?: object }> };
  return Object.entries(properties).flatMap(([key, section]) => (key === 'health' ? [key, ...Object.keys(section.properties ?? {}).map((inner) => `health.${inner}`)] : [key]));
};

const edited = (text: string, key: string, to: unknown): string => {
  const document = parse(text) as Record<string, unknown>;
  const [section = '', inner] = key.split('.');
  if (inner === undefined) document[section] = to;
  else document[section] = { ...(document[section] as object), [inner]: to };
  if (document[section] === undefined) delete document[section];
  return stringify(document);
};

const check = <Settings>(t: Test, schema: z.ZodType, path: string, changes: Changes, load: (path: string) => Settings, needsRestart: (before: Settings, after: Settings) => readonly string[]): void => {
  t.strictSame(Object.keys(changes).sort(), keysOf(schema).sort(), 'every key is either reported or taken up');
  const before = load(path);
  t.strictSame(needsRestart(before, load(path)), [], 'nothing changed');
  for (const [key, { to, restart }] of Object.entries(changes)) {
    const changed = path.replace('.yaml', '-changed.yaml');
    lab.write('a.token', 'x'.repeat(32));
    lab.write(changed.slice(lab.directory.length + 1), edited(readFileSync(path, 'utf8'), key, to));
    t.strictSame([...needsRestart(before, load(changed))].sort(), [...restart].sort(), key);
  }
};

const lab = Lab.create(t);
lab.enrol('agent', 'alice');
lab.enrol('connector', 'con', ['ssh', 'mail', 'web']);
lab.write('deny.yaml', 'identities: []\n');
lab.write('retry.key', `${Buffer.alloc(32, 7).toString('base64')}\n`);
const path = lab.writeRelay([], { extra: { health: HEALTH, journal: 'one.journal' } });
for (const [from, to] of [['keyring.yaml', 'keyring-2.yaml'], ['policy.yaml', 'policy-2.yaml'], ['alice.regkey', 'renewed.regkey']] as const) lab.write(to, lab.read(from));
for (const [name, as] of [['relay-1', 'renewed'], ['con', 'con-renewed'], ['alice', 'alice-renewed']] as const)
  for (const end of ['crt', 'key']) lab.write(`${as}.${end}`, lab.read(`${name}.${end}`));

t.test('of relay.yaml', async (t) => {
  check(t, relaySchema, path, RELAY, loadRelaySettings, relayNeedsRestart);
});

t.test('of connector.yaml', async (t) => {
  const services = { ssh: { backend: '127.0.0.1:22', allow: '*' }, mail: { backend: '127.0.0.1:25', allow: '*' }, web: { backend: '127.0.0.1:80', allow: '*' } };
  const config = lab.write('con.yaml', stringify({ ...lab.client('con'), relays: [{ address: '127.0.0.1:4433', name: 'relay-1' }], services, health: HEALTH }));
  lab.write('renewed.regkey', lab.read('con.regkey'));
  check(t, connectorSchema, config, CONNECTOR, loadConnectorSettings, connectorNeedsRestart);
});

t.test('of agent.yaml', async (t) => {
  const config = lab.write('alice.yaml', stringify({ ...lab.client('alice'), relays: [{ address: '127.0.0.1:4433', name: 'relay-1' }], health: HEALTH }));
  lab.write('renewed.regkey', lab.read('alice.regkey'));
  check(t, agentSchema, config, AGENT, loadAgentSettings, agentNeedsRestart);
});

t.test('the page on configuration names every key of relay.yaml that needs a restart', async (t) => {
  const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  const sentence = page.split('\n').find((line) => line.includes('need a restart.')) ?? '';
  for (const key of Object.values(RELAY).flatMap(({ restart }) => restart)) t.ok(sentence.includes(`\`${key.replace(/^health\..*/, 'health')}\``), key);
});

t.test('a running relay says so of each, and takes up the rest', async (t) => {
  const relay = await lab.startRelay([], { name: 'relay-1' });
  const changes = { drainTimeout: '1s', log: { level: 'info' }, udp: 'plain', journal: 'two.journal', workers: 2, limits: { queues: { total: '64MiB' } }, health: { listen: '127.0.0.1:0' } };
  const text = stringify({ ...(parse(lab.read('relay-1.yaml')) as object), ...changes });
  // Files are watched a moment after `listening`, and nothing tells when.
  for (let n = 0; !relay.events.some(({ event }) => event === 'reloaded'); n++) {
    lab.write('relay-1.yaml', `${text}# ${n}\n`);
    await wait(500);
  }
  const named = relay.events.filter(({ event }) => event === 'restart_needed').map(({ changed }) => changed);
  t.strictSame(named.sort(), ['drainTimeout', 'health', 'journal', 'limits.queues.total', 'log', 'udp', 'workers']);
});
