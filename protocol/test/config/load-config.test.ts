// Configuration files: every fault at once with its line, and YAML made to hurt.

import t from 'tap';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  durationMs, hostPort, identityName, listenAddress, loadConfig, loadDocument, logSection, parseConfig, parsePolicy, readYaml, relaysSection, serviceName, tlsSection, ZtnaError, formatFault,
} from '@ztna/protocol';

const NAME_RULE = '1 to 63 of a-z, 0-9 and hyphen, not starting or ending with a hyphen';
const PATH_RULE = 'must be the path of a file, relative to this file or absolute';
const schema = z.strictObject({
  listen: listenAddress,
  tls: tlsSection,
  relays: relaysSection.optional(),
  services: z.record(serviceName, z.strictObject({ protocol: z.enum(['tcp', 'udp']), backend: hostPort, allow: z.array(identityName).min(1) })),
  idle: durationMs.optional(),
  workers: z.int().min(1).max(9).optional(),
  debug: z.boolean().optional(),
  log: logSection,
});
const TLS = 'tls: {ca: ca.pem, certificate: c.pem, key: k.pem}\n';
const VALID = `listen: 0.0.0.0:4433\n${TLS}services: {}\n`;

const faults = (text: string, of: z.ZodType = schema): string[] => {
  const result = parseConfig(text, of, '/etc/ztna');
  return result.ok ? [] : result.faults.map((fault) => formatFault('f', fault));
};
const anything = z.strictObject({ a: z.unknown().optional(), b: z.unknown().optional() });

const thrownBy = (run: () => unknown): ZtnaError => {
  try {
    run();
  } catch (error) {
    return error as ZtnaError;
  }
  throw new Error('nothing was thrown');
};

t.test('faults that a parser of ours finds come with their lines, too', (t) => {
  const path = join(t.testdir({ 'policy.yaml': 'groups:\n  dev: [alice]\nrules:\n  - allow: [alice]\n    services: [web]\n  - allow:\n      - group:ops\n    service: [web]\n' }), 'policy.yaml');
  t.match(thrownBy(() => loadDocument(path, parsePolicy)), {
    code: 'config_invalid',
    message: `${path}:6: rules[1].services: must be a list\n${path}:7: rules[1].allow[0]: there is no group "ops" under groups\n${path}:8: rules[1].service: unknown key`,
  });
  t.end();
});

t.test('loads a file, with its path and directory', (t) => {
  const dir = t.testdir({ 'relay.yaml': `# a comment\n${VALID}relays:\n  - {address: "[::1]:4433", name: relay-1}\nidle: 30s\n` });
  const result = loadConfig(join(dir, 'relay.yaml'), schema);
  const { lineOf, ...loaded } = result;
  t.equal(lineOf('relays[0].name'), 6);
  t.same(loaded, {
    config: {
      listen: { host: '0.0.0.0', port: 4433 },
      tls: { ca: join(dir, 'ca.pem'), certificate: join(dir, 'c.pem'), key: join(dir, 'k.pem') },
      services: {},
      relays: [{ address: { host: '::1', port: 4433 }, name: 'relay-1' }],
      idle: 30_000,
      log: { level: 'info', format: 'json' },
    },
    path: join(dir, 'relay.yaml'),
    directory: dir,
  });
  t.end();
});

t.test('reports every fault at once, by line and key path, with the value and what is allowed', (t) => {
  const dir = t.testdir({
    'relay.yaml': `lisen: 0.0.0.0:4433
tls:
  ca: 5
  key: 7
log: {level: loud, format:}
relays:
  - address: "::1:4433"
    name: Relay
  - 5
services:
  Web: {protocol: icmp, backend: foo, allow: []}
  web: {protocol: icmp, backend: foo, allow: []}
  ok: {protcol: tcp, backend: 300.1.1.1:80, allow: [alice, "Bob\\e[31m"]}
idle: 30
workers: 12
debug: "yes"
`,
  });
  const file = join(dir, 'relay.yaml');
  const error = caught(() => loadConfig(file, schema));
  t.equal(error.code, 'config_invalid');
  t.same(error.message.replaceAll(file, 'f').split('\n'), [
    'f has 21 faults:',
    'f:1: listen: is missing; must be address:port with an IP address and a port up to 65535, such as 127.0.0.1:8080, 0.0.0.0:4433 or [::]:4433',
    'f:1: lisen: is not a known key; did you mean "listen"?',
    `f:2: tls.certificate: is missing; ${PATH_RULE}`,
    `f:3: tls.ca: is 5; ${PATH_RULE}`,
    `f:4: tls.key: is not valid (value not shown); ${PATH_RULE}`,
    'f:5: log.level: is "loud"; must be one of trace, debug, info, warn, error, fatal, silent',
    'f:5: log.format: is empty; must be one of json, pretty',
    'f:7: relays[0].address: is "::1:4433"; must be host:port with a port from 1 to 65535, such as 127.0.0.1:8080, [::1]:8080 or db.internal:5432',
    `f:8: relays[0].name: is "Relay"; must be the relay's name, as in its certificate: ${NAME_RULE}`,
    'f:9: relays[1]: is 5; must be a map with the keys address, name',
    `f:11: services.Web: is not allowed as a key; must be a service name: ${NAME_RULE}`,
    'f:12: services.web.protocol: is "icmp"; must be one of tcp, udp',
    'f:12: services.web.backend: is "foo"; must be host:port with a port from 1 to 65535, such as 127.0.0.1:8080, [::1]:8080 or db.internal:5432',
    'f:12: services.web.allow: is a list; must have at least 1 entry',
    'f:13: services.ok.protocol: is missing; must be one of tcp, udp',
    'f:13: services.ok.backend: is "300.1.1.1:80"; must be host:port with a port from 1 to 65535, such as 127.0.0.1:8080, [::1]:8080 or db.internal:5432',
    `f:13: services.ok.allow[1]: is "Bob\\u001b[31m"; must be an identity's name: ${NAME_RULE}`,
    'f:13: services.ok.protcol: is not a known key; did you mean "protocol"?',
    'f:14: idle: is 30; must be a duration from 1ms to 24d with a unit of ms, s, m, h or d, such as 250ms, 30s or 5m',
    'f:15: workers: is 12; must be at most 9',
    'f:16: debug: is "yes"; must be true or false',
  ]);
  t.end();
});

t.test('an empty file is told what it lacks', (t) => {
  for (const text of ['', '# nothing\n', '---\n'])
    t.same(faults(text), [
      'f:1: listen: is missing; must be address:port with an IP address and a port up to 65535, such as 127.0.0.1:8080, 0.0.0.0:4433 or [::]:4433',
      'f:1: tls: is missing; must be a map with the keys ca, certificate, key',
      'f:1: services: is missing; must be a map',
    ]);
  t.end();
});

t.test('a suggestion is at most two edits away; otherwise the known keys are listed', (t) => {
  t.same(faults('lsiten: 1', z.strictObject({ listen: z.unknown().optional() })), ['f:1: lsiten: is not a known key; did you mean "listen"?']);
  t.same(faults('LISTEN: 1', z.strictObject({ listen: z.unknown().optional() })), ['f:1: LISTEN: is not a known key; did you mean "listen"?']);
  t.same(faults('address: 1', z.strictObject({ listen: z.unknown().optional(), tls: z.unknown().optional() })), ['f:1: address: is not a known key; known keys: listen, tls']);
  t.same(faults('foo: 1', z.strictObject({ log: z.unknown().optional() })), ['f:1: foo: is not a known key; known keys: log'], 'two of three letters');
  t.same(faults('ab: 1', z.strictObject({ x: z.unknown().optional() })), ['f:1: ab: is not a known key; known keys: x'], 'half its letters wrong is no typing error');
  t.end();
});

t.test('unions say what would do, or what is wrong in the alternative that fits', (t) => {
  const union = z.strictObject({ u: z.union([z.literal('off'), z.strictObject({ size: z.int().max(5) })]) });
  t.same(faults('u: 7', union), ['f:1: u: is 7; must be off, or a map']);
  t.same(faults('u:\n  size: 9', union), ['f:2: u.size: is 9; must be at most 5']);
  t.same(faults('u: {sise: 1}', union), ['f:1: u.size: is missing; must be a number', 'f:1: u.sise: is not a known key; did you mean "size"?']);
  t.end();
});

t.test('the value of a key that names a secret is never shown, wherever it went wrong', (t) => {
  const secret = 'c2VjcmV0IHZhbHVl';
  const keyring = z.strictObject({ keys: z.array(z.strictObject({ keyId: z.string(), secret: z.int() })), token: z.int().optional(), key: z.int().optional() });
  const reported = [
    ...faults(`keys: [{keyId: a, secret: ${secret}}]\ntoken: ${secret}\nkey: {inner: ${secret}}\n`, keyring),
    ...faults(`keys: [{keyId: a, secrt: ${secret}}]\n`, keyring),
    ...faults(`${secret}\n`, keyring),
    ...faults(`keys: [{secret: "${secret}\n`, keyring),
    ...faults(`keys: [{secret: @${secret}}]\n`, keyring),
    ...faults(`secret: "\\q${secret}"\n`, keyring),
    ...faults(`secret: *${secret}\n`, keyring),
    ...faults(`secret: !${secret} x\n`, keyring),
  ];
  t.ok(reported.length >= 9);
  t.notMatch(reported.join('\n'), secret);
  t.match(reported[0], 'keys[0].secret: is not valid (value not shown); must be');
  t.end();
});

t.test('YAML that is not plain is refused at its line', (t) => {
  const cases: [string, string][] = [
    ['a: 1\nb: 2\na: 3\n', 'f:3: a: is given twice, first in line 1'],
    ['a: {x: 1, x: 2}\n', 'f:1: a.x: is given twice, first in line 1'],
    ['a: &x [1]\nb: *x\n', 'f:2: b: is a YAML alias (*name); must be written out'],
    ['a: *nope\n', 'f:1: a: is a YAML alias (*name); must be written out'],
    ['a: 1\nb: !foo x\n', 'f:2: b: has a YAML tag (!name); tags are not allowed'],
    ['a: !!binary aGk=\n', 'f:1: a: has a YAML tag (!name); tags are not allowed'],
    ['a: !!js/function x\n', 'f:1: a: has a YAML tag (!name); tags are not allowed'],
    ['%YAML 1.1\n---\na: yes\n', 'f:1: YAML directives (%YAML, %TAG) are not allowed'],
    ['a: 1\n---\nb: 2\n', 'f:2: a second document starts here; must be one document'],
    ['a:\n\tb: 1\n', 'f:2: is indented with a tab; use spaces'],
    ['\ta: 1\n', 'f:1: is indented with a tab; use spaces'],
    ['a: "b\nb: d', 'f:2: lacks a closing quote, bracket, colon or space'],
    ['a: b: c\n', 'f:1: has a second "key:" in one line; put the value in quotes or on its own line'],
    ['a: @x\n', 'f:1: starts with a character YAML reserves (@ ` %); put the value in quotes'],
    ['a: {b: c\n', 'f:2: is indented wrongly, or a bracket is not closed'],
    ['[a]: 2\n', 'f:1: has a map or list as a key; must be text'],
    ['a: "\\q"\n', 'f:1: has a backslash sequence that double quotes do not allow; use single quotes'],
    ['__proto__: {a: 1}\n', 'f:1: __proto__: is not a known key'],
    ['<<: {a: 1}\n', 'f:1: ["<<"]: is not a known key; known keys: a, b'],
    ['- 1\n', 'f:1: is a list; must be a map with the keys a, b'],
    ['hello\n', 'f:1: is text; must be a map with the keys a, b'],
  ];
  for (const [text, fault] of cases) t.same(faults(text, anything), [fault], JSON.stringify(text));
  t.end();
});

t.test('standard tags put no buffer, set or date into the data', (t) => {
  for (const tagged of ['!!binary aGk=', '!!set {a, b}', '!!timestamp 2026-01-01', '!!omap [a: 1]', '!!pairs [a: 1]']) {
    const { data, faults } = readYaml(`a: ${tagged}\n`);
    t.equal(data, undefined, tagged);
    t.match(faults, [{ line: 1, keyPath: 'a' }], tagged);
  }
  t.end();
});

t.test('a __proto__ key reaches neither a prototype nor a record', (t) => {
  const record = z.record(z.string(), z.unknown());
  t.same(faults('x: {__proto__: {polluted: 1}}', record), ['f:1: x.__proto__: is not a known key']);
  t.equal(({} as Record<string, unknown>)['polluted'], undefined);
  t.end();
});

t.test('faults in syntax that leaves the data readable come together with those of the schema', (t) => {
  t.same(faults(`${VALID}listen: x\ncolour: !bar 1\n`), [
    'f:4: listen: is given twice, first in line 1',
    'f:4: listen: is "x"; must be address:port with an IP address and a port up to 65535, such as 127.0.0.1:8080, 0.0.0.0:4433 or [::]:4433',
    'f:5: colour: has a YAML tag (!name); tags are not allowed',
    'f:5: colour: is not a known key; known keys: listen, tls, relays, services, idle, workers, debug, log',
  ]);
  t.end();
});

t.test('YAML made to exhaust memory, stack or time is refused quickly', (t) => {
  const laughs = ['a: &a0 [x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 12 }, (_, level) => `k${level}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(', ')}]`)].join('\n');
  t.match(faults(laughs, anything)[0], 'f:2: k0[0]: is a YAML alias (*name); must be written out');
  const deep = 'f:1: is nested more than 32 levels deep';
  t.same(faults('['.repeat(50_000), anything), [deep], 'open brackets');
  t.same(faults('- '.repeat(50_000), anything), [deep], 'dashes');
  t.same(faults('{a: '.repeat(50_000), anything), [deep], 'open braces');
  t.same(faults('? '.repeat(50_000), anything), [deep], 'explicit keys');
  t.same(faults(Array.from({ length: 40 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), anything), ['f:33: is nested more than 32 levels deep'], 'indentation');
  t.same(faults(`a: ${'['.repeat(31)}${']'.repeat(31)}`, anything), [], '32 levels are allowed');
  const started = performance.now();
  t.equal(faults(Array.from({ length: 60_000 }, (_, key) => `k${key}: 1`).join('\n'), anything).length, 60_000, 'unknown keys');
  t.equal(faults('a: @x\n'.repeat(60_000), anything).length > 1, true, 'broken lines');
  // Quadratic work here took 27 s for the first alone; linear work takes one or two.
  t.ok(performance.now() - started < 20_000, 'in time linear in their number');
  t.end();
});

t.test('a file with thousands of faults lists a hundred and counts the rest', (t) => {
  const dir = t.testdir({ 'x.yaml': Array.from({ length: 250 }, (_, key) => `k${key}: 1`).join('\n') });
  const lines = caught(() => loadConfig(join(dir, 'x.yaml'), anything)).message.split('\n');
  t.equal(lines.length, 102);
  t.equal(lines[0], `${join(dir, 'x.yaml')} has 250 faults:`);
  t.equal(lines.at(-1), 'and 150 more');
  t.end();
});

t.test('a file that cannot be read says why and what to do', (t) => {
  const dir = t.testdir({ 'large.yaml': `#${'x'.repeat(1024 * 1024)}`, 'latin1.yaml': Buffer.from([0x61, 0x3a, 0x20, 0xe9]), folder: {} });
  const message = (name: string): string => {
    const { code, message: text } = caught(() => loadConfig(join(dir, name), anything));
    return `${code}: ${text.replaceAll(`${dir}/`, '')}`;
  };
  t.equal(message('absent.yaml'), 'config_unreadable: cannot read absent.yaml: no such file; check the path');
  t.equal(message('large.yaml/x'), 'config_unreadable: cannot read large.yaml/x: no such file; check the path');
  t.equal(message('folder'), 'config_unreadable: cannot read folder: it is a directory, not a regular file');
  t.equal(message('large.yaml'), 'config_unreadable: cannot read large.yaml: it is larger than 1048576 bytes');
  t.equal(message('latin1.yaml'), 'config_invalid: latin1.yaml has a fault:\nlatin1.yaml:1: is not UTF-8 text');
  t.end();
});

t.test('a secret file that others can read is refused before its content is judged', (t) => {
  const path = join(t.testdir({}), 'alice.regkey');
  writeFileSync(path, 'wrong: true', { mode: 0o600 });
  chmodSync(path, 0o644);
  t.equal(caught(() => loadConfig(path, anything, { secret: true })).code, 'key_file_permissions');
  chmodSync(path, 0o600);
  t.equal(caught(() => loadConfig(path, anything, { secret: true })).code, 'config_invalid');
  t.end();
});

const caught = (run: () => unknown): ZtnaError => {
  try {
    run();
  } catch (error) {
    if (isZtnaError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

function isZtnaError(error: unknown): error is ZtnaError {
  return error instanceof ZtnaError;
}
