// `ztna-certs renew` as a child process: what stays, what changes, and what is refused.

import t from 'tap';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { parseRecords, signCertificate, type Authority } from '@ztna/certs';
import { refuses, withAuthority } from './fixtures/command-line.js';
import { MAIN, type WorkingDirectory } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(200_000);

const read = (directory: WorkingDirectory, name: string): string => readFileSync(directory.file(name), 'utf8');
const certificate = (directory: WorkingDirectory, name: string): X509Certificate => new X509Certificate(read(directory, name));
const DAY_MS = 86_400_000;

t.test('renew keeps identity, names and purposes, and replaces key, serial number and dates', (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  ztnaCerts('issue', 'connector', 'c1', '--service', 'web', '--service', 'ssh-box', '--days', '40', '--dir', 'pki', '--out', 'out');
  const before = certificate(directory, 'out/c1.crt');
  const keyBefore = read(directory, 'out/c1.key');
  const pemBefore = read(directory, 'out/c1.crt');
  const done = ztnaCerts('renew', 'out/c1.crt', '--dir', 'pki');
  t.match(done, { code: 0, stderr: '' });
  const after = certificate(directory, 'out/c1.crt');
  t.equal(after.subjectAltName, before.subjectAltName);
  t.strictSame(after.keyUsage, before.keyUsage);
  t.not(after.serialNumber, before.serialNumber);
  t.notOk(after.publicKey.equals(before.publicKey), 'a new key');
  t.ok(Math.abs(Date.parse(after.validTo) - Date.now() - 40 * DAY_MS) < 60_000, 'as long as the old one');
  t.equal(directory.mode('out/c1.key'), 0o600);
  t.equal(directory.mode('out/c1.crt'), 0o644);
  t.equal(read(directory, 'out/c1.crt.old'), pemBefore, 'the old certificate is kept');
  t.match(ztnaCerts('inspect', 'out/c1.crt', '--ca', 'pki/ca.crt', '--key', 'out/c1.key'), { code: 0 });
  for (const key of [keyBefore, read(directory, 'out/c1.key')]) t.notMatch(done.stdout, key.split('\n')[1]!, 'no secret is printed');
  t.strictSame(readdirSync(directory.file('out')).sort(), ['c1.crt', 'c1.crt.old', 'c1.key'], 'nothing else is left');
  t.match(parseRecords(read(directory, 'pki/issued.jsonl')).records, [{ serial: before.serialNumber }, { serial: after.serialNumber, renews: before.serialNumber }]);
  t.end();
});

t.test('--keep-key keeps the key file as it is; --days sets the lifetime', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  const key = read(directory, 'out/alice.key');
  const before = certificate(directory, 'out/alice.crt');
  t.match(directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--keep-key', '--days', '5'), { code: 0, stdout: /alice\.key {2}kept/ });
  const after = certificate(directory, 'out/alice.crt');
  t.equal(read(directory, 'out/alice.key'), key);
  t.ok(after.publicKey.equals(before.publicKey));
  t.ok(Math.abs(Date.parse(after.validTo) - Date.now() - 5 * DAY_MS) < 60_000);
  t.end();
});

t.test('--expires-in does nothing while there is time', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--days', '20', '--dir', 'pki', '--out', 'out');
  const before = read(directory, 'out/alice.crt');
  t.match(directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--expires-in', '10d'), { code: 0, stdout: /nothing to do yet/ });
  t.equal(read(directory, 'out/alice.crt'), before);
  t.match(directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--expires-in', '3w'), { code: 0, stdout: /^renewed / });
  refuses(t, directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--expires-in', 'soon'), /is not a period; /);
  t.end();
});

t.test('an expired certificate can be renewed', (t) => {
  const directory = withAuthority(t);
  const authority: Authority = { certificatePem: read(directory, 'pki/ca.crt'), keyPem: read(directory, 'pki/ca.key') };
  const past = { notBefore: new Date(), notAfter: new Date() };
  past.notBefore.setTime(Date.now() - 2 * 60_000);
  past.notAfter.setTime(Date.now() - 60_000);
  const { certificatePem, keyPem } = signCertificate(authority, { commonName: 'alice', uris: ['spiffe://corp.example/agent/alice'], dnsNames: [], purposes: ['clientAuth'], ...past });
  directory.write('alice.crt', certificatePem, 0o644);
  directory.write('alice.key', keyPem);
  t.match(directory.ztnaCerts('renew', 'alice.crt', '--dir', 'pki', '--days', '1'), { code: 0, stdout: /alice\.crt\.old .*, expired$/m });
  t.match(directory.ztnaCerts('inspect', 'alice.crt', '--ca', 'pki/ca.crt', '--key', 'alice.key'), { code: 0 });
  t.end();
});

t.test('a certificate of another CA is renewed only when that CA is named', (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  ztnaCerts('init', '--dir', 'pki-2', '--trust-domain', 'corp.example');
  const before = read(directory, 'out/alice.crt');
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki-2'), 'out/alice.crt was not signed by the CA in pki-2; to move it to that CA, name the one that signed it with --from-ca');
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki-2', '--from-ca', 'pki-2/ca.crt'), 'out/alice.crt cannot be renewed: it is not signed by the CA given');
  t.equal(read(directory, 'out/alice.crt'), before);
  t.match(ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki-2', '--from-ca', 'pki/ca.crt'), { code: 0 });
  t.match(ztnaCerts('inspect', 'out/alice.crt', '--ca', 'pki-2/ca.crt', '--key', 'out/alice.key'), { code: 0 });
  ztnaCerts('init', '--dir', 'foreign', '--trust-domain', 'other.example');
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'foreign', '--from-ca', 'pki-2/ca.crt'), 'the certificate is of trust domain corp.example, the CA of other.example');
  t.end();
});

t.test('what is refused is left as it was, and not recorded', (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  ztnaCerts('issue', 'agent', 'bob', '--dir', 'pki', '--out', 'out');
  const all = (): unknown => ['out/alice.crt', 'out/alice.key', 'pki/ca.crt', 'pki/ca.key', 'pki/issued.jsonl'].map((name) => read(directory, name));
  const before = all();
  refuses(t, ztnaCerts('renew', 'pki/ca.crt', '--dir', 'pki'), /a CA is not renewed but replaced/);
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--key', 'out/bob.key'), 'out/bob.key is not the key of out/alice.crt; name it with --key');
  refuses(t, ztnaCerts('renew', 'out/none.crt', '--dir', 'pki'), /out\/none\.crt cannot be read/);
  refuses(t, ztnaCerts('renew', 'out/alice.key', '--dir', 'pki'), /name its private key with --key/);
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'out'), /there is no CA in out: .*ztna-certs init$/);
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki', '--days', '99999'), /days is 99999/);
  directory.write('out/alice.crt.new', 'left by a crash');
  refuses(t, ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki'), 'out/alice.crt is being renewed by another command; if none is running, remove out/alice.crt.new');
  t.strictSame(all(), before);
  t.end();
});

t.test('a profile that no CA of ours signs is not renewed', (t) => {
  const directory = withAuthority(t);
  const authority: Authority = { certificatePem: read(directory, 'pki/ca.crt'), keyPem: read(directory, 'pki/ca.key') };
  const day = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + DAY_MS) };
  const odd = signCertificate(authority, { commonName: 'x', uris: ['spiffe://corp.example/agent/x'], dnsNames: ['web.svc.corp.example'], purposes: ['clientAuth', 'serverAuth'], ...day });
  directory.write('x.crt', odd.certificatePem);
  directory.write('x.key', odd.keyPem);
  refuses(t, directory.ztnaCerts('renew', 'x.crt', '--dir', 'pki'), /^x\.crt cannot be renewed: /);
  t.end();
});

t.test('the old certificate is never written through a symbolic link', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  directory.write('precious', 'precious');
  symlinkSync(directory.file('precious'), directory.file('out/alice.crt.old'));
  t.match(directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'pki'), { code: 0 });
  t.equal(read(directory, 'precious'), 'precious');
  t.end();
});

t.test('commands at once lose no record, and leave no pair that does not belong together', async (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  const run = (...args: string[]): Promise<number | null> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory.path, stdio: 'ignore' });
      child.once('error', reject).once('close', resolve);
    });
  const names = ['a', 'b', 'c', 'd'];
  const codes = await Promise.all([
    ...names.map((name) => run('issue', 'agent', name, '--dir', 'pki', '--out', 'out')),
    run('renew', 'out/alice.crt', '--dir', 'pki'),
    run('renew', 'out/alice.crt', '--dir', 'pki'),
  ]);
  t.strictSame(codes.slice(0, 4), [0, 0, 0, 0]);
  t.ok(codes.slice(4).every((code) => code === 0 || code === 2), 'a renewal is done, or refused');
  t.ok(codes.slice(4).includes(0));
  const { records, faultyLines } = parseRecords(read(directory, 'pki/issued.jsonl'));
  t.strictSame(faultyLines, []);
  for (const name of names) t.ok(records.some(({ identity }) => identity === `spiffe://corp.example/agent/${name}`), name);
  t.match(directory.ztnaCerts('inspect', 'out/alice.crt', '--key', 'out/alice.key'), { code: 0 });
  t.notOk(existsSync(directory.file('out/alice.crt.new')));
});

t.test('a CA whose end is near gives no certificate that outlives it', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out');
  directory.ztnaCerts('init', '--dir', 'short', '--trust-domain', 'corp.example', '--days', '10');
  refuses(t, directory.ztnaCerts('renew', 'out/alice.crt', '--dir', 'short', '--from-ca', 'pki/ca.crt'), /outside its CA's .* ask for fewer days or make a new CA$/);
  t.end();
});
