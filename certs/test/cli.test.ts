// ztna-certs as people run it: child processes, exact exit codes, one line of complaint.

import t, { type Test } from 'tap';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { createAuthority, signCertificate, type Inspection } from '@ztna/certs';
import { workingDirectory, type Finished, type WorkingDirectory } from './fixtures/working-directory.js';

t.test('a whole PKI, from init to inspect', async (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  t.same(readdirSync(directory.file('pki')).sort(), ['ca.crt', 'ca.key']);
  const issues: [string[], string][] = [
    [['relay', 'relay-1'], 'spiffe://corp.example/relay/relay-1'],
    [['connector', 'c1', '--service', 'web', '--service', 'ssh-box'], 'spiffe://corp.example/connector/c1'],
    [['agent', 'alice', '--days', '7'], 'spiffe://corp.example/agent/alice'],
  ];
  for (const [[role, name, ...rest], identity] of issues) {
    const issued = ztnaCerts('issue', role!, name!, ...rest, '--dir', 'pki', '--out', 'out');
    t.match(issued, { code: 0, stderr: '' }, identity);
    t.match(issued.stdout, `issued ${identity}, valid until `);
    t.match(issued.stdout, 'next: ');
    t.equal(directory.mode(`out/${name}.key`), 0o600);
    t.equal(directory.mode(`out/${name}.crt`), 0o644);
    const seen = ztnaCerts('inspect', `out/${name}.crt`, '--ca', 'pki/ca.crt', '--key', `out/${name}.key`);
    t.match(seen, { code: 0, stderr: '' });
    t.match(seen.stdout, new RegExp(`^identity +${identity}$`, 'm'));
    t.match(seen.stdout, /^chain +valid$/m);
    t.match(seen.stdout, /^key +valid$/m);
  }
  t.equal(directory.mode('pki/ca.key'), 0o600);
  t.match(ztnaCerts('inspect', 'out/alice.crt').stdout, /\(6 days left\)/);
  t.match(ztnaCerts('inspect', 'pki/ca.crt', '--key', 'pki/ca.key'), { code: 0, stdout: /^authority +CA of corp\.example$/m });
});

t.test('inspect --json prints one object', async (t) => {
  const { ztnaCerts } = withAuthority(t);
  ztnaCerts('issue', 'connector', 'c1', '--service', 'web', '--dir', 'pki');
  const { code, stdout } = ztnaCerts('inspect', 'pki/c1.crt', '--json', '--ca', 'pki/ca.crt');
  t.equal(code, 0);
  t.match(JSON.parse(stdout) as Inspection, {
    kind: 'certificate', identity: 'spiffe://corp.example/connector/c1', role: 'connector', services: ['web'],
    dnsNames: ['web.svc.corp.example'], purposes: ['clientAuth', 'serverAuth'], chain: 'valid', key: 'not checked', problems: [],
  });
});

t.test('inspect exits 1 for each thing that is wrong', async (t) => {
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
});

t.test('inspect exits 2 for what it cannot read', async (t) => {
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
});

t.test('a hostile certificate cannot repaint the terminal', async (t) => {
  const directory = workingDirectory(t);
  const authority = createAuthority({ trustDomain: 'corp.example' });
  const window = { notBefore: new Date(), notAfter: new Date(Date.now() + 60_000) };
  const { certificatePem } = signCertificate(authority, { commonName: 'a\u001b[2J\nkey valid\u202e', uris: ['spiffe://x/\u001b]0;'], dnsNames: [], purposes: [], ...window });
  const { stdout } = directory.ztnaCerts('inspect', directory.write('x.crt', certificatePem));
  t.match(stdout, 'a\\u{1b}[2J\\u{a}key valid\\u{202e}');
  t.match(stdout, 'spiffe://x/\\u{1b}]0;');
  t.notMatch(stdout, /[\u001b\u202e]/);
});

t.test('init never writes over a CA, not even half of one', async (t) => {
  const directory = withAuthority(t);
  const before = readFileSync(directory.file('pki/ca.key'), 'utf8');
  const again = (): Finished => directory.ztnaCerts('init', '--dir', 'pki', '--trust-domain', 'corp.example');
  t.match(again(), { code: 2, stdout: '', stderr: /^ztna-certs: pki\/ca\.key exists already and is left as it is; .*\n$/ });
  t.equal(readFileSync(directory.file('pki/ca.key'), 'utf8'), before);

  const half = workingDirectory(t);
  half.write('ca.crt', 'precious');
  t.match(half.ztnaCerts('init', '--dir', '.', '--trust-domain', 'corp.example'), { code: 2, stderr: /ca\.crt exists already/ });
  t.same(readdirSync(half.path), ['ca.crt'], 'no key was made beside it');
});

t.test('issue replaces files only with --force, and a CA never', async (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki');
  const first = readFileSync(directory.file('pki/alice.crt'), 'utf8');
  refuses(t, ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki'), 'pki/alice.key exists already and is left as it is; give --force to replace it');
  t.equal(readFileSync(directory.file('pki/alice.crt'), 'utf8'), first);
  t.equal(ztnaCerts('issue', 'agent', 'alice', '--dir', 'pki', '--force').code, 0);
  t.not(readFileSync(directory.file('pki/alice.crt'), 'utf8'), first);
  t.match(ztnaCerts('inspect', 'pki/alice.crt', '--key', 'pki/alice.key', '--ca', 'pki/ca.crt').code, 0);

  const key = readFileSync(directory.file('pki/ca.key'), 'utf8');
  refuses(t, ztnaCerts('issue', 'agent', 'ca', '--dir', 'pki', '--force'), "ca.crt and ca.key are a CA's own files; choose another name");
  t.equal(readFileSync(directory.file('pki/ca.key'), 'utf8'), key);
});

t.test('issue refuses an open CA key, a missing CA and a mistaken request', async (t) => {
  const directory = withAuthority(t);
  const issue = (...args: string[]): Finished => directory.ztnaCerts('issue', ...args, '--dir', 'pki');
  refuses(t, issue('connector', 'c1'), 'a connector has 1 to 64 services, not 0; name each with --service');
  refuses(t, issue('agent', 'alice', '--service', 'web'), 'a certificate of role agent serves nothing; services belong to a connector');
  refuses(t, issue('agent', 'Alice'), 'name "Alice" is not valid; use 1 to 63 of a-z, 0-9 and hyphen, not starting or ending with a hyphen');
  refuses(t, issue('agent', '../alice'), 'name "../alice" is not valid; use 1 to 63 of a-z, 0-9 and hyphen, not starting or ending with a hyphen');
  refuses(t, issue('agent', 'alice', '--days', 'ten'), '--days is "ten"; write a whole number');
  refuses(t, issue('agent', 'alice', '--days', '0'), 'days is 0; it must be a whole number from 1 to 36500');
  refuses(t, issue('agent', 'alice', '--days', '3651'), /^spiffe:\/\/corp\.example\/agent\/alice would be valid from .* outside its CA's .*; ask for fewer days or make a new CA$/);
  refuses(t, issue('admin', 'alice'), /Allowed choices are agent, connector, relay\.$/);
  refuses(t, directory.ztnaCerts('issue', 'agent', 'alice'), 'ca.crt cannot be read: ENOENT: no such file or directory');
  chmodSync(directory.file('pki/ca.key'), 0o640);
  refuses(t, issue('agent', 'alice'), 'pki/ca.key holds a secret and is open to its group or others; run chmod 600 on it');
  t.same(readdirSync(directory.file('pki')).sort(), ['ca.crt', 'ca.key'], 'and writes nothing');
});

t.test('keygen writes the client file and the keyring entry', async (t) => {
  const directory = workingDirectory(t);
  const { ztnaCerts } = directory;
  t.match(ztnaCerts('keygen', '--key-id', 'alice', '--role', 'agent', '--identity', 'alice', '--out', 'keys'), { code: 0, stderr: '' });
  t.match(
    ztnaCerts('keygen', '--key-id', 'c1', '--role', 'connector', '--identity', 'c1', '--identity', 'c2', '--any-service', '--algorithm', 'hmac-sha256',
      '--not-before', '2026-01-31', '--not-after', '2026-06-30T12:00:00+02:00'),
    { code: 0, stderr: '' },
  );
  t.equal(directory.mode('keys/alice.regkey'), 0o600);
  t.equal(directory.mode('c1.regkey'), 0o600);
  t.equal(directory.mode('keyring.yaml'), 0o600);
  const file = parse(readFileSync(directory.file('c1.regkey'), 'utf8')) as { secret: string };
  const { keys } = parse(readFileSync(directory.file('keyring.yaml'), 'utf8')) as { keys: unknown[] };
  t.match(keys[0], { keyId: 'alice', algorithm: 'ed25519', scope: { role: 'agent', identities: ['alice'], services: [] } });
  t.strictSame(keys[1], {
    keyId: 'c1', algorithm: 'hmac-sha256', secret: file.secret, scope: { role: 'connector', identities: ['c1', 'c2'], services: '*' },
    notBefore: '2026-01-31T00:00:00.000Z', notAfter: '2026-06-30T10:00:00.000Z',
  });
});

t.test('keygen prints no secret', async (t) => {
  const directory = workingDirectory(t);
  const { stdout } = directory.ztnaCerts('keygen', '--key-id', 'a', '--role', 'agent', '--any-identity', '--algorithm', 'hmac-sha256');
  const { secret } = parse(readFileSync(directory.file('a.regkey'), 'utf8')) as { secret: string };
  t.equal(secret.length, 44);
  t.notMatch(stdout, secret);
});

t.test('keygen refuses what is not least privilege or not valid, and then writes nothing', async (t) => {
  const directory = workingDirectory(t);
  const keygen = (...args: string[]): Finished => directory.ztnaCerts('keygen', ...args);
  const agent = ['--key-id', 'alice', '--role', 'agent'];
  const connector = ['--key-id', 'c1', '--role', 'connector', '--identity', 'c1'];
  refuses(t, keygen(...agent), 'name each identity the key may register with --identity, or give --any-identity');
  refuses(t, keygen(...agent, '--any-identity', '--identity', 'alice'), 'give --identity or --any-identity, not both');
  refuses(t, keygen(...agent, '--identity', 'alice', '--any-service'), 'an agent serves nothing; services belong to the key of a connector');
  refuses(t, keygen(...connector), 'name each service the key may register with --service, or give --any-service');
  refuses(t, keygen(...connector, '--service', 'web', '--any-service'), 'give --service or --any-service, not both');
  refuses(t, keygen('--key-id', '../x', '--role', 'agent', '--any-identity'), /^key id "\.\.\/x" is not valid; /);
  refuses(t, keygen('--key-id', 'x', '--role', 'relay', '--any-identity'), /Allowed choices are agent, connector\.$/);
  for (const instant of ['tomorrow', '2026-02-30', '2026-02-01T12:00:00', '2026-13-01', '01.02.2026']) {
    refuses(t, keygen(...agent, '--any-identity', '--not-after', instant), /^--not-after is ".*"; write a date or an instant with its zone, such as /);
  }
  refuses(t, keygen(...agent, '--any-identity', '--not-after', '2020-01-01'), /^key alice would end \(2020-01-01 00:00:00 UTC\) before it begins /);
  t.same(readdirSync(directory.path), []);
});

t.test('keygen refuses a taken key id or file and leaves both halves as they were', async (t) => {
  const directory = workingDirectory(t);
  const keygen = (keyId: string): Finished => directory.ztnaCerts('keygen', '--key-id', keyId, '--role', 'agent', '--identity', 'alice');
  t.equal(keygen('alice').code, 0);
  const snapshot = (): string[] => readdirSync(directory.path).sort().map((name) => `${name} ${readFileSync(directory.file(name), 'utf8')}`);
  const before = snapshot();
  refuses(t, keygen('alice'), 'keyring.yaml already has a key alice; choose another --key-id');
  t.same(snapshot(), before);
  writeFileSync(directory.file('bob.regkey'), 'precious');
  refuses(t, keygen('bob'), 'bob.regkey exists already and is left as it is');
  t.same(snapshot(), [before[0], 'bob.regkey precious', before[1]]);
  t.notOk(existsSync(directory.file('keyring.yaml.lock')));
});

t.test('mistakes in the command line exit 2 with one line; help exits 0', async (t) => {
  const { ztnaCerts } = workingDirectory(t);
  refuses(t, ztnaCerts('frobnicate'), "unknown command 'frobnicate'");
  refuses(t, ztnaCerts('init', '--dir', 'x'), "required option '--trust-domain <domain>' not specified");
  refuses(t, ztnaCerts('init', '--dir', 'x', '--trust-domain', 'UPPER'), /^trust domain "UPPER" is not valid; /);
  refuses(t, ztnaCerts('inspect'), "missing required argument 'file'");
  refuses(t, ztnaCerts('inspect', 'a', '--nope'), "unknown option '--nope'");
  refuses(t, ztnaCerts('inspect', 'a', 'b'), /^too many arguments for 'inspect'/);
  t.match(ztnaCerts(), { code: 2, stdout: '', stderr: /^Usage: ztna-certs / });
  t.match(ztnaCerts('--help'), { code: 0, stderr: '', stdout: /^Usage: ztna-certs / });
  t.match(ztnaCerts('keygen', '--help'), { code: 0, stderr: '', stdout: /--any-identity/ });
});

function withAuthority(t: Test): WorkingDirectory {
  const directory = workingDirectory(t);
  const made = directory.ztnaCerts('init', '--dir', 'pki', '--trust-domain', 'corp.example');
  if (made.code !== 0) throw new Error(made.stderr);
  return directory;
}

/** Exit 2, nothing on stdout, exactly one line on stderr. */
function refuses(t: Test, finished: Finished, message: string | RegExp): void {
  const { code, stdout, stderr } = finished;
  const lines = stderr.split('\n');
  t.same({ code, stdout, lines: lines.length }, { code: 2, stdout: '', lines: 2 }, stderr);
  t.ok(stderr.startsWith('ztna-certs: '), 'it says who speaks');
  const line = (lines[0] ?? '').replace(/^ztna-certs: /, '');
  if (typeof message === 'string') t.equal(line, message);
  else t.match(line, message);
}
