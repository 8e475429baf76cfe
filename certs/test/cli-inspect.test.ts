// `ztna-certs inspect` as a child process: 0 when all is well, 1 when something is wrong, 2 when it cannot tell.

import t from 'tap';
import { chmodSync } from 'node:fs';
import { createAuthority, signCertificate, type Inspection } from '@ztna/certs';
import { refuses, withAuthority } from './fixtures/command-line.js';
import { workingDirectory } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(120_000);

t.test('inspect --json prints one object', (t) => {
  const { ztnaCerts } = withAuthority(t);
  ztnaCerts('issue', 'connector', 'c1', '--service', 'web', '--dir', 'pki');
  const { code, stdout } = ztnaCerts('inspect', 'pki/c1.crt', '--json', '--ca', 'pki/ca.crt');
  t.equal(code, 0);
  t.match(JSON.parse(stdout) as Inspection, {
    kind: 'certificate', identity: 'spiffe://corp.example/connector/c1', role: 'connector', services: ['web'],
    dnsNames: ['web.svc.corp.example'], purposes: ['clientAuth', 'serverAuth'], chain: 'valid', key: 'not checked', problems: [],
  });
  t.end();
});

t.test('inspect exits 1 for each thing that is wrong', (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki');
  const authority = createAuthority({ trustDomain: 'corp.example' });
  const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') };
  const expired = signCertificate(authority, { commonName: 'x', uris: ['spiffe://corp.example/agent/x'], dnsNames: [], purposes: ['clientAuth'], ...past });
  directory.write('other-ca.crt', authority.certificatePem);
  directory.write('x.crt', expired.certificatePem);
  directory.write('x.key', expired.keyPem);
  t.match(ztnaCerts('inspect', 'x.crt', '--ca', 'other-ca.crt', '--key', 'x.key'), { code: 1, stderr: '', stdout: /^problem +certificate_expired: expired on 2020-02-01 00:00:00 UTC$/m });
  t.match(ztnaCerts('inspect', 'pki/alice.crt', '--ca', 'other-ca.crt'), { code: 1, stdout: /^problem +certificate_unknown_ca: /m });
  t.match(ztnaCerts('inspect', 'pki/alice.crt', '--key', 'x.key'), { code: 1, stdout: /^problem +key_mismatch: /m });
  chmodSync(directory.file('pki/alice.key'), 0o644);
  t.match(ztnaCerts('inspect', 'pki/alice.crt', '--key', 'pki/alice.key'), { code: 1, stdout: /^problem +key_file_permissions: /m });
  const json = ztnaCerts('inspect', 'x.crt', '--json');
  t.equal(json.code, 1);
  t.match(JSON.parse(json.stdout) as Inspection, { problems: [{ code: 'certificate_expired' }] });
  t.end();
});

t.test('inspect exits 2 for what it cannot read', (t) => {
  const directory = withAuthority(t);
  directory.write('empty', '');
  directory.write('garbled.crt', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const unreadable: [string[], string][] = [
    [['missing.crt'], 'missing.crt cannot be read: ENOENT: no such file or directory'],
    [['pki'], 'pki cannot be read: EISDIR: illegal operation on a directory'],
    [['empty'], 'empty holds no certificate in PEM form'],
    [['garbled.crt'], 'garbled.crt holds a certificate that cannot be decoded'],
    [['pki/ca.key'], 'pki/ca.key holds no certificate in PEM form'],
    [['pki/ca.crt', '--ca', 'missing'], 'missing cannot be read: ENOENT: no such file or directory'],
    [['pki/ca.crt', '--key', 'pki/ca.crt'], 'pki/ca.crt holds no unencrypted private key in PEM form'],
  ];
  for (const [args, message] of unreadable) refuses(t, directory.ztnaCerts('inspect', ...args), message);
  t.end();
});

t.test('a hostile certificate cannot repaint the terminal', (t) => {
  const directory = workingDirectory(t);
  const authority = createAuthority({ trustDomain: 'corp.example' });
  const window = { notBefore: new Date(), notAfter: new Date(Date.now() + 60_000) };
  const { certificatePem } = signCertificate(authority, { commonName: 'a\u001b[2J\nkey valid\u202e', uris: ['spiffe://x/\u001b]0;'], dnsNames: [], purposes: [], ...window });
  const { stdout } = directory.ztnaCerts('inspect', directory.write('x.crt', certificatePem));
  t.match(stdout, 'a\\u{1b}[2J\\u{a}key valid\\u{202e}');
  t.match(stdout, 'spiffe://x/\\u{1b}]0;');
  t.notOk(stdout.includes('\u001b') || stdout.includes('\u202e'));
  t.end();
});
