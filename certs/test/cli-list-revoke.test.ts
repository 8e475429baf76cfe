// `ztna-certs list` and `revoke` as child processes: what was issued, what is due, and what goes on the deny list.

import t from 'tap';
import { appendFileSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { parse } from 'yaml';
import type { ListedCertificate } from '@ztna/certs';
import { parseRevocations } from '@ztna/protocol';
import { refuses, withAuthority } from './fixtures/command-line.js';
import type { WorkingDirectory } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(120_000);

const list = (directory: WorkingDirectory, ...args: string[]): ListedCertificate[] =>
  JSON.parse(directory.ztnaCerts('list', '--dir', 'pki', '--json', ...args).stdout) as ListedCertificate[];

/** A CA with alice (8 days), c1 (40 days) and relay-1 (90 days). */
const withCertificates = (t: Parameters<typeof withAuthority>[0]): WorkingDirectory => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'relay', 'relay-1', '--dir', 'pki', '--out', 'out');
  directory.ztnaCerts('issue', 'connector', 'c1', '--service', 'web', '--service', 'dns', '--days', '40', '--dir', 'pki', '--out', 'out');
  directory.ztnaCerts('issue', 'agent', 'alice', '--days', '8', '--dir', 'pki', '--out', 'out');
  return directory;
};

t.test('list shows every certificate issued, those that expire first on top', (t) => {
  const directory = withCertificates(t);
  t.match(list(directory), [
    { role: 'agent', name: 'alice', services: [], daysLeft: 7, state: 'expiring' },
    { role: 'connector', name: 'c1', services: ['web', 'dns'], daysLeft: 39, state: 'valid' },
    { role: 'relay', name: 'relay-1', daysLeft: 89, state: 'valid' },
  ]);
  const { code, stdout } = directory.ztnaCerts('list', '--dir', 'pki');
  t.equal(code, 0);
  t.match(stdout, /^expiring +7 +agent +alice +- +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d +[0-9A-F]{32} +[0-9A-F:]{11}$/m);
  t.equal(directory.mode('pki/issued.jsonl'), 0o600);
  t.end();
});

t.test('list --expiring shows what is due, and says so by its exit code', (t) => {
  const directory = withCertificates(t);
  t.match(directory.ztnaCerts('list', '--dir', 'pki', '--expiring', '7d'), { code: 0, stdout: 'none\n' });
  t.match(directory.ztnaCerts('list', '--dir', 'pki', '--expiring', '10d'), { code: 1, stdout: /alice/ });
  t.strictSame(list(directory, '--expiring', '41d').map(({ name }) => name), ['alice', 'c1']);
  refuses(t, directory.ztnaCerts('list', '--dir', 'pki', '--expiring', '30'), /"30" is not a period; /);
  refuses(t, directory.ztnaCerts('list', '--dir', 'nowhere'), 'directory nowhere cannot be read');
  t.end();
});

t.test('a certificate that was renewed is due no more, and shown with --all only', (t) => {
  const directory = withCertificates(t);
  directory.ztnaCerts('renew', 'out/alice.crt', '--days', '90', '--dir', 'pki');
  t.match(directory.ztnaCerts('list', '--dir', 'pki', '--expiring', '10d'), { code: 0, stdout: 'none\n' });
  t.equal(list(directory).length, 3);
  t.match(list(directory, '--all')[0], { name: 'alice', state: 'renewed' });
  t.end();
});

t.test('certificates in the folder that the record lacks are listed too', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki');
  directory.write('pki/issued.jsonl', '');
  directory.write('pki/other.crt', 'no certificate');
  t.match(list(directory), [{ name: 'alice', state: 'valid' }]);
  t.end();
});

t.test('lines that a crash or an editor broke are left out with a word, and the next record is whole', (t) => {
  const directory = withCertificates(t);
  appendFileSync(directory.file('pki/issued.jsonl'), 'not a record\n{"serial":"12"}\n\u001b[2J\n{"serial":"ABC');
  const { code, stdout, stderr } = directory.ztnaCerts('list', '--dir', 'pki', '--json');
  t.equal(code, 0);
  t.equal((JSON.parse(stdout) as unknown[]).length, 3);
  t.equal(stderr, 'ztna-certs: pki/issued.jsonl: line 4, 5, 6, 7 cannot be read and is left out; the certificate it stood for may be missing here\n');
  directory.ztnaCerts('issue', 'agent', 'bob', '--dir', 'pki', '--out', 'out');
  t.equal(list(directory).length, 4);
  t.end();
});

t.test('nothing is issued that cannot be recorded', (t) => {
  const directory = withAuthority(t);
  directory.write('elsewhere', '');
  symlinkSync(directory.file('elsewhere'), directory.file('pki/issued.jsonl'));
  refuses(t, directory.ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--out', 'out'), /pki\/issued\.jsonl cannot be written: /);
  t.notOk(existsSync(directory.file('out/alice.key')));
  t.equal(readFileSync(directory.file('elsewhere'), 'utf8'), '');
  t.end();
});

t.test('revoke takes a serial number in any spelling, an identity, or a certificate file', (t) => {
  const directory = withCertificates(t);
  const [alice, c1] = list(directory);
  const revoke = (what: string): ReturnType<WorkingDirectory['ztnaCerts']> => directory.ztnaCerts('revoke', what, '--dir', 'pki');
  const spelled = alice!.serial.toLowerCase().match(/../g)!.join(':');
  t.match(revoke(spelled), { code: 0, stderr: '', stdout: /^revoked certificate [0-9A-F]{32} \(spiffe:\/\/corp\.example\/agent\/alice\) in denylist\.yaml$/m });
  t.match(revoke('out/c1.crt'), { code: 0 });
  t.match(revoke('spiffe://corp.example/relay/relay-1'), { code: 0, stdout: /within a second, and refuses new ones \(certificate_revoked\)/ });
  const written = parse(readFileSync(directory.file('denylist.yaml'), 'utf8')) as object;
  t.strictSame(written, { serials: [alice!.serial.toLowerCase(), c1!.serial.toLowerCase()], identities: ['relay/relay-1'] });
  t.equal(parseRevocations(written).ok, true, 'the relay takes it');
  const before = readFileSync(directory.file('denylist.yaml'), 'utf8');
  t.match(revoke(alice!.serial), { code: 0, stdout: /is in denylist\.yaml already/ });
  t.equal(readFileSync(directory.file('denylist.yaml'), 'utf8'), before);
  const states = list(directory, '--deny-list', 'denylist.yaml').map(({ state }) => state);
  t.strictSame(states, ['revoked', 'revoked', 'revoked']);
  t.end();
});

t.test('revoke keeps the rest of the file, comments and mode included', (t) => {
  const directory = withCertificates(t);
  directory.write('deny.yaml', '# who left\nidentities: [agent/mallory] # 2026-01\n# lost laptops\nserials:\n  - "0f" # the old one\n', 0o640);
  t.match(directory.ztnaCerts('revoke', 'agent/alice', '--dir', 'pki', '--deny-list', 'deny.yaml'), { code: 0 });
  const text = readFileSync(directory.file('deny.yaml'), 'utf8');
  for (const comment of ['# who left', '# 2026-01', '# lost laptops', '# the old one']) t.match(text, comment);
  t.strictSame(parse(text), { identities: ['agent/mallory', 'agent/alice'], serials: ['0f'] });
  t.equal(statSync(directory.file('deny.yaml')).mode & 0o777, 0o640);
  t.end();
});

t.test('revoke refuses what the CA has no record of, and does it with --force', (t) => {
  const directory = withCertificates(t);
  refuses(t, directory.ztnaCerts('revoke', 'agent/bob', '--dir', 'pki'), /^the CA in pki has no record of agent\/bob; .*--force/);
  refuses(t, directory.ztnaCerts('revoke', '0123456789', '--dir', 'pki'), /^the CA in pki has no record of 0123456789; /);
  refuses(t, directory.ztnaCerts('revoke', 'alice', '--dir', 'pki'), /neither a serial number/);
  refuses(t, directory.ztnaCerts('revoke', 'agent/Alice!', '--dir', 'pki'), /is no identity; /);
  t.notOk(existsSync(directory.file('denylist.yaml')));
  t.match(directory.ztnaCerts('revoke', '0123456789', '--force'), { code: 0 });
  t.strictSame(parse(readFileSync(directory.file('denylist.yaml'), 'utf8')), { serials: ['123456789'] });
  t.end();
});

t.test('a file that is no deny list is left as it is', (t) => {
  const directory = withCertificates(t);
  const revoke = (): ReturnType<WorkingDirectory['ztnaCerts']> => directory.ztnaCerts('revoke', 'agent/alice', '--dir', 'pki', '--deny-list', 'deny.yaml');
  for (const text of ['identities: [agent/alice', 'rules: []\n', 'identities: alice\n', '- agent/alice\n', 'serials: [12]\n', 'identities: &a [agent/x]\nserials: *a\n']) {
    directory.write('deny.yaml', text);
    refuses(t, revoke(), /^deny\.yaml .*; nothing was added$/);
    t.equal(readFileSync(directory.file('deny.yaml'), 'utf8'), text);
    t.notOk(existsSync(directory.file('deny.yaml.lock')));
  }
  directory.write('deny.yaml.lock', '');
  directory.write('deny.yaml', '{}\n');
  refuses(t, revoke(), 'deny.yaml is being changed by another command; if none is running, remove deny.yaml.lock');
  t.end();
});
