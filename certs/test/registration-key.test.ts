// Registration keys and the keyring file: the two halves fit, scopes are least privilege, nothing is lost.

import t from 'tap';
import { createPublicKey, sign, verify, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { parse } from 'yaml';
import { addToKeyring, generateRegistrationKey, type KeyringEntry, type KeyScope } from '@ztna/certs';
import { isName } from '@ztna/protocol';
import { workingDirectory } from './fixtures/working-directory.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const ALICE: KeyScope = { role: 'agent', identities: ['alice'], services: [] };
const CONNECTOR: KeyScope = { role: 'connector', identities: ['c1'], services: ['web'] };
const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/).filter(isName);

t.test('an Ed25519 key file holds the seed whose public key the keyring holds', (t) => {
  const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: 'alice', scope: ALICE, now: NOW });
  const file = parse(keyFileYaml) as { secret?: string };
  t.same(Object.keys(file), ['keyId', 'algorithm', 'secret', 'scope']);
  t.match(file, { keyId: 'alice', algorithm: 'ed25519', scope: ALICE });
  const seed = Buffer.from(file.secret!, 'base64');
  t.equal(seed.length, 32);
  const pair = nacl.sign.keyPair.fromSeed(seed);
  t.equal(Buffer.from(pair.publicKey).toString('base64'), keyringEntry.publicKey);
  t.notOk('secret' in keyringEntry);

  const message = Buffer.from('message');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(keyringEntry.publicKey!, 'base64').toString('base64url') }, format: 'jwk' });
  t.ok(verify(null, message, publicKey, nacl.sign.detached(message, pair.secretKey)));
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex'); // RFC 8410 §7
  const privateKey = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
  t.ok(nacl.sign.detached.verify(message, sign(null, message, privateKey), Buffer.from(keyringEntry.publicKey!, 'base64')));
  t.end();
});

t.test('an HMAC key is the same 32 bytes on both sides', (t) => {
  const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: 'c1', algorithm: 'hmac-sha256', scope: CONNECTOR, now: NOW });
  const file = parse(keyFileYaml) as Record<string, string>;
  t.equal(file.algorithm, 'hmac-sha256');
  t.equal(file.secret, keyringEntry.secret);
  t.equal(Buffer.from(file.secret!, 'base64').length, 32);
  t.notOk('publicKey' in keyringEntry);
  t.end();
});

t.test('no two keys are the same', (t) => {
  for (const algorithm of ['ed25519', 'hmac-sha256'] as const) {
    const files = Array.from({ length: 16 }, () => generateRegistrationKey({ keyId: 'k', algorithm, scope: ALICE }).keyFileYaml);
    t.equal(new Set(files).size, 16, algorithm);
  }
  t.end();
});

t.test('a key is active from five minutes ago for a year unless told otherwise', (t) => {
  const { keyringEntry } = generateRegistrationKey({ keyId: 'alice', scope: ALICE, now: NOW });
  t.match(keyringEntry, { notBefore: '2026-03-01T11:55:00.000Z', notAfter: '2027-03-01T12:00:00.000Z' });
  const dated = generateRegistrationKey({ keyId: 'alice', scope: ALICE, notBefore: new Date('2026-05-01'), notAfter: new Date('2026-06-01') });
  t.match(dated.keyringEntry, { notBefore: '2026-05-01T00:00:00.000Z', notAfter: '2026-06-01T00:00:00.000Z' });
  t.throws(() => generateRegistrationKey({ keyId: 'alice', scope: ALICE, now: NOW, notAfter: new Date('2026-01-01') }), { code: 'usage' });
  t.end();
});

t.test('a scope names who and what, or says any; bad and repeated names are refused', (t) => {
  const refused: [string, KeyScope][] = [
    ['alice', { ...ALICE, identities: [] }],
    ['alice', { ...ALICE, identities: ['Alice'] }],
    ['alice', { ...ALICE, identities: ['*'] }],
    ['alice', { ...ALICE, identities: ['alice', 'alice'] }],
    ['alice', { ...ALICE, services: ['web'] }],
    ['alice', { ...ALICE, services: '*' }],
    ['c1', { ...CONNECTOR, services: [] }],
    ['c1', { ...CONNECTOR, services: ['a.b'] }],
    ['../c1', CONNECTOR],
    ['', CONNECTOR],
  ];
  for (const [keyId, scope] of refused) {
    t.throws(() => generateRegistrationKey({ keyId, scope }), { code: 'usage' }, `${keyId} ${JSON.stringify(scope)}`);
  }
  const any = generateRegistrationKey({ keyId: 'pool', scope: { role: 'connector', identities: '*', services: '*' } });
  t.same(any.keyringEntry.scope, { role: 'connector', identities: '*', services: '*' });
  t.end();
});

t.test('every entry added is read back as it was, in order, whatever its names look like in YAML', (t) => {
  const tricky = fc.constantFrom('null', 'true', 'no', '123', '1e5', '0x1f', '2026-01-01', '0o7');
  const anyName = fc.oneof(name, tricky);
  const entry = fc
    .record({ keyId: anyName, algorithm: fc.constantFrom('ed25519' as const, 'hmac-sha256' as const), identities: fc.uniqueArray(anyName, { minLength: 1, maxLength: 4 }), services: fc.oneof(fc.constant('*' as const), fc.uniqueArray(anyName, { minLength: 1, maxLength: 4 })) })
    .map(({ keyId, algorithm, identities, services }) =>
      generateRegistrationKey({ keyId, algorithm, scope: { role: 'connector', identities, services }, now: NOW }),
    );
  const directory = workingDirectory(t);
  let run = 0;
  fc.assert(
    fc.property(fc.uniqueArray(entry, { minLength: 1, maxLength: 5, selector: (made) => made.keyringEntry.keyId }), (made) => {
      const path = directory.file(`keyring-${run++}.yaml`);
      for (const { keyringEntry } of made) addToKeyring(path, keyringEntry, () => undefined);
      const read = parse(readFileSync(path, 'utf8')) as { keys: KeyringEntry[] };
      const files = made.map(({ keyFileYaml }) => (parse(keyFileYaml) as { keyId: unknown }).keyId);
      return t.strictSame(read, { keys: made.map(({ keyringEntry }) => keyringEntry) }) && t.strictSame(files, made.map((one) => one.keyringEntry.keyId));
    }),
    { numRuns: 30 },
  );
  t.end();
});

t.test('existing entries, comments and other keys survive an addition', (t) => {
  const directory = workingDirectory(t);
  const before = '# production\nversion: 1\nkeys:\n  # the old laptop\n  - keyId: old\n    algorithm: ed25519\n    publicKey: AAAA # retired in May\n';
  const path = directory.write('keyring.yaml', before, 0o644);
  addToKeyring(path, entryOf('new'), () => undefined);
  const after = readFileSync(path, 'utf8');
  t.ok(after.startsWith(before), 'byte for byte up to the new entry');
  t.same((parse(after) as { keys: { keyId: string }[] }).keys.map((key) => key.keyId), ['old', 'new']);
  t.equal(directory.mode('keyring.yaml'), 0o600, 'and the file is closed to others');
  t.end();
});

t.test('an empty keyring in any spelling takes its first entry', (t) => {
  const directory = workingDirectory(t);
  for (const [index, text] of ['', '# nothing yet\n', 'keys:\n', 'keys: []\n', '{}\n', '{ "keys": [] }', '---\n', 'version: 1\n'].entries()) {
    const path = directory.write(`k${index}.yaml`, text);
    const entry = entryOf('new');
    addToKeyring(path, entry, () => undefined);
    t.same((parse(readFileSync(path, 'utf8')) as { keys: unknown }).keys, [entry], JSON.stringify(text));
  }
  t.end();
});

t.test('a duplicate key id and a file that is no keyring are refused and left as they were', (t) => {
  const directory = workingDirectory(t);
  const refused: [string, RegExp][] = [
    ['keys:\n  - keyId: new\n', /already has a key new/],
    ['keys: {}\n', /"keys" must be a list/],
    ['- keyId: x\n', /not a keyring/],
    ['just text\n', /not a keyring/],
    ['keys: [\n', /not valid YAML, line/],
    ['keys: []\nkeys: []\n', /not valid YAML, line 2/],
  ];
  for (const [text, message] of refused) {
    const path = directory.write('keyring.yaml', text);
    t.throws(() => addToKeyring(path, entryOf('new'), () => t.fail('committed')), { code: 'keyring_invalid', message }, text);
    t.equal(readFileSync(path, 'utf8'), text);
    t.notOk(existsSync(`${path}.lock`));
  }
  t.end();
});

t.test('a message about a broken keyring does not quote its secrets', (t) => {
  const directory = workingDirectory(t);
  const path = directory.write('keyring.yaml', 'keys:\n  - secret: "hunter2\n');
  try {
    addToKeyring(path, entryOf('new'), () => undefined);
    t.fail('was accepted');
  } catch (error) {
    t.notMatch(String(error), 'hunter2');
    t.equal((error as Error).cause, undefined);
  }
  t.end();
});

t.test('a failure before the commit leaves the keyring and no lock', (t) => {
  const directory = workingDirectory(t);
  const path = directory.write('keyring.yaml', 'keys: []\n');
  t.throws(() => addToKeyring(path, entryOf('new'), () => { throw new Error('disk full'); }), { message: 'disk full' });
  t.equal(readFileSync(path, 'utf8'), 'keys: []\n');
  t.notOk(existsSync(`${path}.lock`));
  t.end();
});

t.test('a second writer is refused and the lock of the first is left alone', (t) => {
  const directory = workingDirectory(t);
  const path = directory.file('keyring.yaml');
  const first = entryOf('first');
  addToKeyring(path, first, () => {
    t.throws(() => addToKeyring(path, entryOf('second'), () => undefined), { code: 'keyring_locked' });
    t.equal(directory.mode('keyring.yaml.lock'), 0o600);
  });
  t.same((parse(readFileSync(path, 'utf8')) as { keys: unknown }).keys, [first]);
  t.end();
});

t.test('a keyring behind a symbolic link is refused rather than replaced by a file', (t) => {
  const directory = workingDirectory(t);
  directory.write('real.yaml', 'keys: []\n');
  symlinkSync('real.yaml', directory.file('keyring.yaml'));
  t.throws(() => addToKeyring(directory.file('keyring.yaml'), entryOf('new'), () => undefined), { code: 'file_unwritable', message: /symbolic link/ });
  t.equal(readFileSync(directory.file('real.yaml'), 'utf8'), 'keys: []\n');
  t.end();
});

function entryOf(keyId: string): KeyringEntry {
  return { ...generateRegistrationKey({ keyId: 'fixed', scope: ALICE, now: NOW }).keyringEntry, keyId };
}
