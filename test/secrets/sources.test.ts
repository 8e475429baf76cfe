// Where secrets are read from: a cluster (a kubectl that serves what the real one would), standard input, folders in both
// layouts; and what cannot be checked, which is exit code 2 and never silence.

import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseAllDocuments, stringify } from 'yaml';
import { issueCertificate, generateRegistrationKey } from '@ztna/certs';
import { findTool, requireTool } from '../harness/tools.js';
import {
  asFolder, asManifest, authority, CONNECTOR_CONFIG, CONNECTOR_TLS, goodContent, keyringOf, REGISTRATION, registrationKey, RELAY_CONFIG, RELAY_KEYRING, RELAY_TLS, relayRequest, tls,
  TRUST_DOMAIN, type Content,
} from './deployment.js';
import { caExtensions, opensslCertificate, relayExtensions } from './openssl-pki.js';
import { scratch, scratchFile } from './scratch.js';
import { decodedData, needlesOf, runScript, SCRIPT, summary, validate } from './validator.js';

/** A folder with only what the script needs, and `extra`. */
const pathWith = (t: Test, extra: Record<string, string> = {}): string => {
  const folder = scratch(t);
  const tools = ['bash', 'openssl', 'awk', 'od', 'base64', 'stat', 'head', 'tail', 'tr', 'wc', 'grep', 'mktemp', 'rm', 'mkdir', 'date', 'cmp', 'cat', 'dirname', 'iconv', 'sleep'];
  for (const tool of tools) symlinkSync(findTool(tool)!, join(folder, tool));
  for (const [name, script] of Object.entries(extra)) {
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
};

/** As `kubectl get secrets,configmaps -o yaml` answers: one List, every object with its namespace. */
const asCluster = (manifest: string, namespace: string): string =>
  stringify({
    apiVersion: 'v1',
    items: parseAllDocuments(manifest).map((document) => {
      const object = document.toJS() as { metadata: object };
      return { ...object, metadata: { ...object.metadata, namespace, creationTimestamp: '2026-01-01T00:00:00Z', uid: '8a', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"apiVersion":"v1"}\n' } } };
    }),
    kind: 'List',
    metadata: { resourceVersion: '' },
  });

/** A kubectl that answers with `answer`, and only what it was asked for by the script. */
const shim = (t: Test, answer: string): string => `#!/bin/sh
[ "$1 $2 $3 $4" = "get secrets,configmaps --namespace ztna" ] || exit 64
cat ${scratchFile(t, 'answer.yaml', answer)}
`;

t.test('what kubectl makes of the content is the content', async (t) => {
  const content = goodContent();
  const manifest = asManifest(t, content);
  if (manifest !== undefined) t.same(decodedData(manifest), content);
});

t.test('reads a namespace through kubectl', async (t) => {
  const content = goodContent();
  const manifest = asManifest(t, content);
  if (manifest === undefined) return;
  const check = async (t: Test, answer: string) => validate(t, ['--namespace', 'ztna'], { content, env: { PATH: pathWith(t, { kubectl: shim(t, answer) }) } });

  await t.test('in order', async (t) => {
    const started = performance.now();
    const verdict = await check(t, asCluster(manifest, 'ztna'));
    t.same(verdict.findings, []);
    t.equal(verdict.checked.length, 9);
    t.comment(`took ${Math.round(performance.now() - started)} ms`);
  });
  await t.test('with a key of another certificate', async (t) => {
    const other = issueCertificate(authority, relayRequest());
    const broken = asManifest(t, { ...content, [RELAY_TLS]: { ...content[RELAY_TLS], 'tls.key': other.keyPem } });
    t.same(summary(await check(t, asCluster(broken!, 'ztna'))), [`${RELAY_TLS} tls.key: key-match`]);
  });
  await t.test('with a CA key in an object of any name', async (t) => {
    const extra = asManifest(t, { ...content, 'Secret/root-ca': { 'tls.crt': authority.certificatePem, 'tls.key': authority.keyPem } });
    t.same(summary(await check(t, asCluster(extra!, 'ztna'))), ['Secret/root-ca tls.key: ca-key']);
  });
  await t.test('with a foreign CA and its key, which no process trusts, in one object', async (t) => {
    const root = opensslCertificate('elsewhere', { extensions: caExtensions() });
    const extra = asManifest(t, { ...content, 'Secret/other': { 'cert.pem': root.certificatePem, 'a.pem': root.keyPem } });
    t.same(summary(await check(t, asCluster(extra!, 'ztna'))), ['Secret/other a.pem: ca-key']);
  });
  await t.test('with a private key, a registration secret, or a key in base64 in a ConfigMap', async (t) => {
    for (const text of [content[RELAY_TLS]!['tls.key']!, content[REGISTRATION]!['registration.yaml']!, Buffer.from(content[RELAY_TLS]!['tls.key']!).toString('base64'), JSON.stringify({ keyId: 'x', secret: Buffer.alloc(32, 'abc').toString('base64') })]) {
      const extra = asManifest(t, { ...content, 'ConfigMap/settings': { 'a.txt': text } });
      t.same(summary(await check(t, asCluster(extra!, 'ztna'))), ['ConfigMap/settings a.txt: exposed']);
    }
    const binary = `${asCluster(manifest, 'ztna').replace(/^kind: List[^]*/m, '')}  - {apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: ztna}, binaryData: {x: ${Buffer.from(`\0\0${content[RELAY_TLS]!['tls.key']!}`).toString('base64')}}}\nkind: List\n`;
    t.same(summary(await check(t, binary)), ['ConfigMap/b x: exposed']);
  });
  await t.test('without a Secret', async (t) => {
    const { [REGISTRATION]: _, ...rest } = content;
    t.same(summary(await check(t, asCluster(asManifest(t, rest)!, 'ztna'))), [`${REGISTRATION}: present`]);
  });
  await t.test('for one role only', async (t) => {
    const { [REGISTRATION]: _, ...rest } = content;
    const env = { PATH: pathWith(t, { kubectl: shim(t, asCluster(asManifest(t, rest)!, 'ztna')) }) };
    t.same((await validate(t, ['--namespace', 'ztna', '--role', 'relay'], { content, env })).findings, []);
  });
  await t.test('that is empty', async (t) => {
    t.match((await check(t, stringify({ apiVersion: 'v1', kind: 'List', items: [] }))).error, /no object to check/);
    const asked = await validate(t, ['--namespace', 'ztna', '--role', 'connector'], { env: { PATH: pathWith(t, { kubectl: shim(t, asCluster(asManifest(t, { 'ConfigMap/kube-root-ca': { 'ca.crt': 'x' } })!, 'ztna')) }) } });
    const nothing = { PATH: pathWith(t, { kubectl: shim(t, stringify({ apiVersion: 'v1', kind: 'List', items: [] })) }) };
    t.same(summary(await validate(t, ['--namespace', 'ztna', '--role', 'connector'], { env: nothing })), summary(asked));
    t.same(summary(asked), [`${REGISTRATION}: present`, `${CONNECTOR_TLS}: present`]);
  });
  await t.test('when kubectl fails, with what it said', async (t) => {
    const env = { PATH: pathWith(t, { kubectl: '#!/bin/sh\necho "Error from server (Forbidden): secrets is forbidden" >&2\nexit 1\n' }) };
    t.match((await validate(t, ['--namespace', 'ztna'], { env })).error, /could not read namespace ztna: .*Forbidden/);
  });
  await t.test('when kubectl answers with something else', async (t) => {
    t.match((await check(t, '<html>proxy</html>')).error, /no Kubernetes object/);
    t.match((await check(t, '')).error, /no object/);
  });
});

t.test('without kubectl, files and manifests are checked, a namespace is not', async (t) => {
  const env = { PATH: pathWith(t) };
  const content = goodContent();
  t.same((await validate(t, ['--dir', asFolder(t, content)], { content, env })).findings, []);
  t.match((await validate(t, ['--namespace', 'ztna'], { env })).error, /kubectl is not installed/);
});

t.test('without openssl nothing can be checked', async (t) => {
  const folder = pathWith(t);
  rmSync(join(folder, 'openssl'));
  t.match((await validate(t, ['--dir', asFolder(t, goodContent())], { env: { PATH: folder } })).error, /openssl is not installed/);
});

t.test('a manifest', async (t) => {
  const content = goodContent();
  const manifest = asManifest(t, content);
  if (manifest === undefined) return;
  const check = (t: Test, text: string | Buffer, args: readonly string[] = []) => validate(t, ['--manifest', '-', ...args], { content, input: Buffer.from(text) });

  await t.test('comes on standard input', async (t) => t.same((await check(t, manifest)).findings, []));
  await t.test('may be JSON', async (t) => {
    const items = parseAllDocuments(manifest).map((document) => document.toJS() as object);
    t.same((await check(t, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }, null, 2))).findings, []);
    t.same((await check(t, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))).findings, []);
  });
  await t.test('may have stringData, which wins over data', async (t) => {
    const [first, ...rest] = parseAllDocuments(manifest).map((document) => document.toJS() as { data: Record<string, string> });
    const both = { ...first!, data: { ...first!.data, 'tls.key': 'Q0hBTkdFTUU=' }, stringData: { 'tls.key': content[RELAY_TLS]!['tls.key']! } };
    t.same((await check(t, [both, ...rest].map((object) => stringify(object)).join('---\n'))).findings, []);
  });
  await t.test('may hold the real kubectl kustomize output with generated names', async (t) => {
    const kubectl = requireTool(t, 'kubectl');
    if (kubectl === undefined) return;
    const folder = asFolder(t, content);
    const generator = ([object, entries]: [string, Record<string, string>]) => ({ name: object.split('/')[1]!, files: Object.keys(entries).map((key) => `${object.includes('connector') ? 'connector' : 'relay'}/${key}`) });
    const of = (kind: string) => Object.entries(content).filter(([object]) => object.startsWith(kind)).map(generator);
    writeFileSync(join(folder, 'kustomization.yaml'), stringify({ namespace: 'edge', secretGenerator: of('Secret'), configMapGenerator: of('ConfigMap') }));
    const { runTool } = await import('../harness/tools.js');
    const { stdout } = await runTool(kubectl, ['kustomize', folder]);
    t.match(stdout.toString(), /name: intermediate-server-tls-[a-z0-9]{10}\n/);
    const verdict = await check(t, stdout);
    t.same(verdict.findings, []);
    t.equal(verdict.checked.length, 9);
  });
  await t.test('names what cert-manager and others will make, instead of missing it', async (t) => {
    const made = ['intermediate-server-tls', 'app-connector-tls'].map((secretName) => stringify({ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', metadata: { name: secretName }, spec: { secretName } }));
    const external = stringify({ apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', metadata: { name: 'reg' }, spec: { target: { name: 'app-connector-registration' } } });
    const { [RELAY_TLS]: _, [CONNECTOR_TLS]: __, [REGISTRATION]: ___, ...rest } = content;
    const verdict = await check(t, [asManifest(t, rest)!, ...made, external].join('---\n'));
    t.same(verdict.findings, []);
    t.same(verdict.skipped.map(({ object }) => object).sort(), [REGISTRATION, CONNECTOR_TLS, RELAY_TLS].sort());
  });
  await t.test('with processes in two namespaces says in which one something is', async (t) => {
    const inNamespace = (text: string, namespace: string): string => parseAllDocuments(text).map((document) => stringify({ ...(document.toJS() as object), metadata: { ...(document.toJS() as { metadata: object }).metadata, namespace } })).join('---\n');
    const { [CONNECTOR_TLS]: connectorTls, [REGISTRATION]: registration, [CONNECTOR_CONFIG]: config } = content;
    // A connector that dials the relay of the other namespace, by a key that the relay's keyring does not hold.
    const stranger = registrationKey({ keyId: 'stranger' });
    const dialling = { 'connector.yaml': config!['connector.yaml']!.replace('relay.example:4433', 'intermediate-server.ztna.svc.cluster.local:4433') };
    const app = { [CONNECTOR_TLS]: { ...connectorTls, 'tls.key': content[RELAY_TLS]!['tls.key']! }, [REGISTRATION]: { 'registration.yaml': stranger.keyFileYaml }, [CONNECTOR_CONFIG]: dialling };
    const both = [inNamespace(manifest, 'ztna'), inNamespace(asManifest(t, app)!, 'app')].join('---\n');
    const verdict = await check(t, both);
    t.same(summary(verdict), [`app/${REGISTRATION} registration.yaml: registration`, `app/${CONNECTOR_TLS} tls.key: key-match`].sort());
    t.equal(verdict.checked.length, 9 + 5);
    const right = [inNamespace(manifest, 'ztna'), inNamespace(asManifest(t, { ...app, [CONNECTOR_TLS]: connectorTls!, [REGISTRATION]: registration! })!, 'app')].join('---\n');
    t.same((await check(t, right)).findings, []);
  });
  await t.test("is checked under the names that kustomize's prefixes and suffixes give", async (t) => {
    const named = (text: string, prefix: string, suffix: string): string => text.replaceAll(/^( {2}name: )(.*)$/gm, `$1${prefix}$2${suffix}`);
    for (const [prefix, suffix] of [['', '-2'], ['edge-', ''], ['edge-', '-production'], ['', '-2-4mbk7t2h9f']] as const) {
      const alone = await check(t, named(manifest, prefix, suffix));
      t.same(alone.findings, [], prefix + suffix);
      t.equal(alone.checked.length, 9);
      const broken = asManifest(t, { ...content, [RELAY_TLS]: { ...content[RELAY_TLS], 'tls.key': 'CHANGEME' } })!;
      t.same(summary(await check(t, `${manifest}---\n${named(broken, prefix, suffix)}`)), [`Secret/${prefix}intermediate-server-tls${suffix} tls.key: placeholder`]);
    }
    const { [RELAY_KEYRING]: _, ...rest } = content;
    t.same(summary(await check(t, `${manifest}---\n${named(asManifest(t, rest)!, '', '-2')}`)), [`${RELAY_KEYRING}-2: present`]);
    const copy = named(asManifest(t, { [RELAY_TLS]: { 'tls.key': 'CHANGEME' } })!, '', '-old');
    const lone = await check(t, `${manifest}---\n${copy}`);
    t.same([lone.findings, lone.skipped.map(({ object }) => object)], [[], [`${RELAY_TLS}-old`]]);
  });
  await t.test('is searched for keys in objects of every kind', async (t) => {
    const pod = stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ env: [{ name: 'KEY', value: content[RELAY_TLS]!['tls.key'] }] }] } });
    t.same(summary(await check(t, `${manifest}---\n${pod}`)), ['Pod/p value: exposed']);
  });
  await t.test('in which data is no base64', async (t) => {
    const [first, ...rest] = parseAllDocuments(manifest).map((document) => document.toJS() as { data: Record<string, string> });
    first!.data['tls.key'] = 'this is plain text!';
    t.same(summary(await check(t, [first, ...rest].map((object) => stringify(object)).join('---\n'))), [`${RELAY_TLS} tls.key: encoding`]);
    first!.data['tls.key'] = 'CHANGEME';
    t.same(summary(await check(t, [first, ...rest].map((object) => stringify(object)).join('---\n'))), [`${RELAY_TLS} tls.key: placeholder`]);
  });
  for (const [what, broken, why] of [
    ['a document that does not parse', 'kind: Secret\n  data: [', /document 7, line \d+/],
    ['an anchor', 'kind: Secret\nmetadata: &m {name: x}\n', /anchor/],
    ['a tag', 'kind: Secret\nmetadata: !!map {name: x}\n', /tag/],
    ['a key twice', 'kind: Secret\nkind: ConfigMap\n', /twice/],
    ['a document that is no object', 'just text\n', /no Kubernetes object/],
    ['a list of values as data', 'kind: Secret\nmetadata: {name: x}\ndata: [a]\n', /data is not a map/],
    ['a Secret without a name', 'kind: Secret\ndata: {a: Yg==}\n', /without kind or name/],
    ['a NUL byte', 'kind: Secret\nmetadata: {name: "x\0"}\n', /NUL/],
  ] as const)
    await t.test(`with ${what} cannot be checked`, async (t) => t.match((await check(t, `${manifest}---\n${broken}`)).error, why));
  await t.test('that is empty cannot be checked', async (t) => t.match((await check(t, '')).error, /no object/));
});

t.test('what other issuers make passes', async (t) => {
  const withRelay = (relay: Record<string, string>): Content => ({ ...goodContent(), [RELAY_TLS]: relay });
  const rsaRoot = opensslCertificate('root', { key: 'RSA-2048', extensions: caExtensions() });
  const intermediate = opensslCertificate('intermediate', { extensions: caExtensions(0) }, rsaRoot);
  const leaf = (issuer: typeof rsaRoot, options: object = {}) => opensslCertificate('relay-1', { extensions: relayExtensions(TRUST_DOMAIN), ...options }, issuer);
  const cases: Record<string, Record<string, string>> = {
    'an RSA leaf of an RSA CA, as cert-manager makes by default': { ...tls(leaf(rsaRoot, { key: 'RSA-2048' })), 'ca.crt': rsaRoot.certificatePem },
    'a P-384 leaf': { ...tls(leaf(rsaRoot, { key: 'P-384' })), 'ca.crt': rsaRoot.certificatePem },
    'no extended key usage, which allows all': { ...tls(leaf(rsaRoot, { extensions: relayExtensions(TRUST_DOMAIN, { purposes: '' }) })), 'ca.crt': rsaRoot.certificatePem },
    'both key usages': { ...tls(leaf(rsaRoot, { extensions: relayExtensions(TRUST_DOMAIN, { purposes: 'serverAuth,clientAuth' }) })), 'ca.crt': rsaRoot.certificatePem },
  };
  const below = leaf(intermediate);
  cases['a leaf below an intermediate, as step-ca makes'] = { ...tls({ ...below, certificatePem: below.certificatePem + intermediate.certificatePem }), 'ca.crt': rsaRoot.certificatePem };
  cases['two CAs while one follows the other'] = { ...tls(issueCertificate(authority, relayRequest())), 'ca.crt': rsaRoot.certificatePem + authority.certificatePem };
  for (const [what, relay] of Object.entries(cases))
    await t.test(what, async (t) => t.same((await validate(t, ['--dir', asFolder(t, withRelay(relay))], { content: withRelay(relay) })).findings, []));
  await t.test('without its intermediate it does not', async (t) => {
    const content = withRelay({ ...tls(below), 'ca.crt': rsaRoot.certificatePem });
    t.same(summary(await validate(t, ['--dir', asFolder(t, content)], { content })), ['relay/tls.crt: chain']);
  });
});

t.test('a Retry key and a health token are held to what the relay reads', async (t) => {
  const content = goodContent();
  const retryKey = Buffer.alloc(32, 'a retry key of a fleet of relays').toString('base64');
  const check = async (files: Record<string, string>, mode = 0o600) => {
    const folder = asFolder(t, content);
    const configured = `${content[RELAY_CONFIG]!['relay.yaml']!}retryKey: retry.key\nhealth: {token: metrics.token}\n`;
    for (const [name, text] of Object.entries({ 'relay.yaml': configured, 'retry.key': `${retryKey}\n`, 'metrics.token': `${'t'.repeat(16)}==\n`, ...files })) {
      writeFileSync(join(folder, 'relay', name), text);
      chmodSync(join(folder, 'relay', name), mode);
    }
    return summary(await validate(t, ['--dir', folder, '--role', 'relay'], { content }));
  };
  t.same(await check({}), []);
  for (const text of ['YWJj', retryKey.slice(0, -1), `${retryKey}\n${retryKey}`, 'no base64, and a long line of it', Buffer.alloc(257).toString('base64')])
    t.same(await check({ 'retry.key': text }), ['relay/retry.key: parses'], text.slice(0, 12));
  for (const text of ['short', 'two words in a token', `${'t'.repeat(20)}\n${'t'.repeat(20)}\n`, 't'.repeat(513)])
    t.same(await check({ 'metrics.token': text }), ['relay/metrics.token: parses'], text.slice(0, 12));
  t.same(await check({ 'retry.key': 'CHANGEME' }), ['relay/retry.key: placeholder']);
  t.same(await check({}, 0o644), ['relay/metrics.token: permissions', 'relay/retry.key: permissions']);
  const manifest = asManifest(t, { ...content, [RELAY_KEYRING]: { ...content[RELAY_KEYRING], 'retry.key': 'YWJj' } });
  if (manifest !== undefined) t.same(summary(await validate(t, ['--manifest', '-'], { content, input: Buffer.from(manifest) })), [`${RELAY_KEYRING} retry.key: parses`]);
});

t.test('a folder as ztna-certs writes it', async (t) => {
  const folder = scratch(t);
  const write = (name: string, text: string, mode = 0o600): void => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), mode);
  };
  const keys = [];
  write('ca.crt', authority.certificatePem, 0o644);
  for (const [role, name] of [['relay', 'relay-1'], ['connector', 'office'], ['agent', 'alice']] as const) {
    const services = role === 'connector' ? ['web'] : [];
    const { certificatePem, keyPem } = issueCertificate(authority, { role, name, services });
    write(`${name}.crt`, certificatePem, 0o644);
    write(`${name}.key`, keyPem);
    if (role === 'relay') continue;
    const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: name, algorithm: role === 'agent' ? 'hmac-sha256' : 'ed25519', scope: { role, identities: [name], services } });
    write(`${name}.regkey`, keyFileYaml);
    keys.push(keyringEntry);
  }
  write('keyring.yaml', keyringOf(...keys));
  const check = (t: Test, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) => validate(t, ['--dir', folder, ...args], { env });

  await t.test('in order, all roles and each', async (t) => {
    t.same((await check(t)).findings, []);
    for (const role of ['relay', 'connector', 'agent']) t.same((await check(t, ['--role', role])).findings, []);
  });
  await t.test('with the HMAC secret of another key', async (t) => {
    const other = generateRegistrationKey({ keyId: 'alice', algorithm: 'hmac-sha256', scope: { role: 'agent', identities: ['alice'], services: [] } });
    const before = join(scratch(t), 'kept');
    copyFileSync(join(folder, 'alice.regkey'), before);
    write('alice.regkey', other.keyFileYaml);
    t.same(summary(await check(t)), ['alice.regkey: registration']);
    copyFileSync(before, join(folder, 'alice.regkey'));
  });
  for (const [name, mode, check_] of [['relay-1.key', 0o640, 'permissions'], ['alice.regkey', 0o604, 'permissions'], ['keyring.yaml', 0o644, 'permissions'], ['ca.crt', 0o666, 'permissions']] as const)
    await t.test(`with mode ${mode.toString(8)} of ${name}`, async (t) => {
      chmodSync(join(folder, name), mode);
      t.same(summary(await check(t)), [`${name}: ${check_}`]);
      chmodSync(join(folder, name), name === 'ca.crt' ? 0o644 : 0o600);
    });
  await t.test("with root's key readable by the one group that ZTNA_SECRETS_GROUP names", async (t) => {
    if (process.getuid?.() !== 0) return t.plan(0, 'only root can make such a file');
    chmodSync(join(folder, 'relay-1.key'), 0o440);
    const gid = String(process.getgid!());
    t.same((await check(t, [], { ZTNA_SECRETS_GROUP: gid })).findings, []);
    t.same(summary(await check(t, [], { ZTNA_SECRETS_GROUP: String(Number(gid) + 1) })), ['relay-1.key: permissions']);
    chmodSync(join(folder, 'relay-1.key'), 0o460);
    t.same(summary(await check(t, [], { ZTNA_SECRETS_GROUP: gid })), ['relay-1.key: permissions']);
    chmodSync(join(folder, 'relay-1.key'), 0o600);
  });
  await t.test("with the CA's private key, whatever it is called", async (t) => {
    for (const name of ['ca.key', 'notes.txt', 'old.key']) {
      write(name, authority.keyPem);
      t.same(summary(await check(t)), [`${name}: ca-key`]);
      rmSync(join(folder, name));
    }
  });
  await t.test('with days left as asked for', async (t) => {
    t.same((await check(t, ['--min-days', '89'])).findings, []);
    t.same(summary(await check(t, ['--min-days', '91'])), ['alice.crt: expiry', 'office.crt: expiry', 'relay-1.crt: expiry']);
  });
  await t.test('without a certificate of the role asked for', async (t) => {
    rmSync(join(folder, 'alice.crt'));
    t.same(summary(await check(t, ['--role', 'agent'])), ['.: present']);
    t.same(summary(await check(t)), ['alice.crt: present']);
  });
});

t.test('a folder as Kubernetes mounts it, symbolic links and all', async (t) => {
  const content = goodContent();
  const root = scratch(t);
  for (const [folder, entries] of [['tls', content[RELAY_TLS]!], ['keyring', content[RELAY_KEYRING]!]] as const) {
    const data = join(root, folder, '..2026_01_01');
    mkdirSync(data, { recursive: true });
    symlinkSync('..2026_01_01', join(root, folder, '..data'));
    for (const [key, text] of Object.entries(entries)) {
      writeFileSync(join(data, key), text);
      chmodSync(join(data, key), 0o600);
      symlinkSync(join('..data', key), join(root, folder, key));
    }
  }
  t.same((await validate(t, ['--dir', root, '--role', 'relay'], { content })).findings, []);
  chmodSync(join(root, 'tls', '..2026_01_01', 'tls.key'), 0o644);
  t.same(summary(await validate(t, ['--dir', root], { content })), ['tls/tls.key: permissions']);
});

t.test('what cannot be checked is exit code 2', async (t) => {
  const empty = scratch(t);
  for (const args of [[], ['--dir'], ['--dir', join(empty, 'none')], ['--dir', empty], ['--dir', empty, '--namespace', 'x'], ['--manifest', join(empty, 'none')],
    ['--namespace', '../x'], ['--namespace', '-A'], ['--dir', empty, '--role', 'server'], ['--dir', empty, '--min-days', '-1'], ['--dir', empty, '--min-days', '9999'], ['--nonsense'], ['--dir', empty, 'x']]) {
    const { exit, stdout, stderr } = await runScript(t, args);
    t.equal(exit, 2, args.join(' '));
    t.equal(stdout, '');
    t.match(stderr, /^validate-secrets: .+\n$/);
    t.type((await validate(t, args)).error, 'string');
  }
  t.same(readdirSync(empty), []);
  t.match(await runScript(t, ['--help']), { exit: 0, stdout: /Examples:/, stderr: '' });
});

t.test('a table for people says the same', async (t) => {
  const content = goodContent();
  content[RELAY_TLS]!['tls.key'] = 'CHANGEME';
  const { exit, stdout } = await runScript(t, ['--dir', asFolder(t, content)], { content });
  t.equal(exit, 1);
  t.match(stdout, /^SEVERITY +OBJECT +CHECK +FINDING +WHAT TO DO\nerror +relay\/tls\.key +placeholder +is a placeholder +replace it with the real content\n\nchecked: 9, errors: 1, warnings: 0\n$/);
});

t.test('names out of a manifest cannot steer a terminal or break the JSON', async (t) => {
  const name = 'app-connector\u001b[31m"\\\n,"findings":[]|x';
  const manifest = [stringify({ kind: 'Deployment', metadata: { name: 'app-connector' } }), stringify({ kind: 'ConfigMap', metadata: { name }, data: { '\u009b"': '-----BEGIN PRIVATE KEY-----' } })].join('---\n');
  const verdict = await validate(t, ['--manifest', '-'], { input: Buffer.from(manifest) });
  t.equal(verdict.findings.filter(({ check }) => check === 'exposed').length, 1);
  t.notMatch(JSON.stringify(verdict), /\\u00|[^ -~]/);
});

t.test('an argument that is not known is named, in JSON wherever --json stands', async (t) => {
  for (const args of [['--frobnicate', '--json'], ['--json', '--frobnicate']]) {
    const { exit, stdout, stderr } = await runScript(t, args);
    t.equal(exit, 2);
    t.same(JSON.parse(stdout), { version: 1, error: 'the argument --frobnicate is not known; see --help' });
    t.equal(stderr, 'validate-secrets: the argument --frobnicate is not known; see --help\n');
  }
  t.equal((await runScript(t, ['--frobnicate'])).stdout, '');
});

t.test('neither bash -x nor the arguments of its children show a secret, and a signal leaves no file', async (t) => {
  const content = goodContent();
  const manifest = asManifest(t, content);
  if (manifest === undefined) return;
  t.ok(needlesOf(content).length > 10);
  const traced = await runScript(t, ['--manifest', '-'], { content, input: Buffer.from(manifest), bash: ['-x'] });
  t.match(traced, { exit: 0, stderr: /openssl verify/ });
  const broken: Content = { ...content, [CONNECTOR_TLS]: { ...content[CONNECTOR_TLS], 'tls.key': content[RELAY_TLS]!['tls.key']! } };
  t.equal((await runScript(t, ['--dir', asFolder(t, broken)], { content: broken, bash: ['-x'] })).exit, 1);

  // Each external program, in a wrapper that notes its arguments.
  const noted = join(scratch(t), 'arguments');
  const wrappers = Object.fromEntries(['openssl', 'awk', 'od', 'base64', 'stat', 'head', 'tr', 'wc', 'grep', 'cmp', 'iconv'].map((tool) => [tool, `#!${findTool('bash')!}\nprintf '%s\\0' "$@" >> ${noted}\nexec ${findTool(tool)!} "$@"\n`]));
  const folder = pathWith(t);
  for (const tool of Object.keys(wrappers)) rmSync(join(folder, tool));
  for (const [tool, script] of Object.entries(wrappers)) {
    writeFileSync(join(folder, tool), script);
    chmodSync(join(folder, tool), 0o755);
  }
  t.equal((await runScript(t, ['--manifest', '-'], { content, input: Buffer.from(manifest), env: { PATH: folder } })).exit, 0);
  const { readFileSync } = await import('node:fs');
  const all = readFileSync(noted, 'latin1');
  t.match(all, 'verify');
  for (const needle of needlesOf(content)) if (all.includes(needle)) t.fail('a secret was an argument');

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const temporary = scratch(t);
    const ready = join(scratch(t), 'ready');
    const env = { ...process.env, TMPDIR: temporary, PATH: pathWith(t, { kubectl: `#!/bin/sh\necho x > ${ready}\nexec sleep 20\n` }) };
    const child = spawn(findTool('bash')!, [SCRIPT, '--namespace', 'ztna'], { env, stdio: 'ignore' });
    while (!existsSync(ready)) await new Promise((resolve) => setImmediate(resolve));
    t.equal(readdirSync(temporary).length, 1);
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number];
    t.equal(code, { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[signal]);
    t.same(readdirSync(temporary), []);
  }
});
