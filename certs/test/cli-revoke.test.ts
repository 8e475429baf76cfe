// `ztna-certs revoke` as a child process: what goes on the deny list, and what is left as it is.

import t from 'tap';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { parse } from 'yaml';
import { MAX_CONFIG_BYTES, parseRevocations } from '@ztna/protocol';
import { list, withCertificates } from './fixtures/certificates.js';
import { refuses } from './fixtures/command-line.js';
import type { WorkingDirectory } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(200_000);

t.test('revoke takes a serial number in any spelling, an identity, or a certificate file', (t) => {
  const directory = withCertificates(t);
  const [alice, c1] = list(directory);
  const revoke = (what: string): ReturnType<WorkingDirectory['ztnaCerts']> => directory.ztnaCerts('revoke', what, '--dir', 'pki');
  const spelled = alice!.serial.toLowerCase().match(/../g)!.join(':');
  t.match(revoke(spelled), { code: 0, stderr: '', stdout: /^revoked certificate [0-9A-F]{32} \(spiffe:\/\/corp\.example\/agent\/alice\) in denylist\.yaml$/m });
  t.match(revoke('out/c1.crt'), { code: 0 });
  t.match(revoke('spiffe://corp.example/connector/c1'), { code: 0, stdout: /within a second, and refuses new ones \(certificate_revoked\)/ });
  const written = parse(readFileSync(directory.file('denylist.yaml'), 'utf8')) as object;
  t.strictSame(written, { serials: [alice!.serial.toLowerCase(), c1!.serial.toLowerCase()], identities: ['connector/c1'] });
  t.equal(parseRevocations(written).ok, true, 'the relay takes it');
  const before = readFileSync(directory.file('denylist.yaml'), 'utf8');
  t.match(revoke(alice!.serial), { code: 0, stdout: /is in denylist\.yaml already/ });
  t.equal(readFileSync(directory.file('denylist.yaml'), 'utf8'), before);
  const states = list(directory, '--deny-list', 'denylist.yaml').map(({ state }) => state);
  t.strictSame(states, ['revoked', 'revoked', 'valid']);
  t.end();
});

t.test('revoke refuses a relay, which no relay asks the list about, and says what to do', (t) => {
  const directory = withCertificates(t);
  const relay = list(directory).find(({ identity }) => identity.includes('/relay/'))!;
  for (const what of ['relay/relay-1', 'spiffe://corp.example/relay/relay-1', relay.serial, 'out/relay-1.crt'])
    refuses(t, directory.ztnaCerts('revoke', what, '--dir', 'pki', '--force'), /relay-1 is a relay, .*take relay-1 out of relays/);
  t.notOk(existsSync(directory.file('denylist.yaml')));
  t.end();
});

t.test('a list that would be too large for a relay is left as it is', (t) => {
  const directory = withCertificates(t);
  const full = `serials:\n${'  - "0f"\n'.repeat(MAX_CONFIG_BYTES / 9 - 2)}`;
  directory.write('deny.yaml', full);
  refuses(t, directory.ztnaCerts('revoke', 'agent/alice', '--dir', 'pki', '--deny-list', 'deny.yaml'), /deny\.yaml is full: relays read no more than 1048576 bytes/);
  t.equal(readFileSync(directory.file('deny.yaml'), 'utf8'), full);
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
