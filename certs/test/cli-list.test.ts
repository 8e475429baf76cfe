// `ztna-certs list` as a child process: what was issued, what is due, and a record that holds anything.

import t from 'tap';
import { appendFileSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { list, withCertificates } from './fixtures/certificates.js';
import { refuses, withAuthority } from './fixtures/command-line.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(200_000);

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
