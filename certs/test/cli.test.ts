// ztna-certs as people run it: exact exit codes, one line of complaint. init and issue; the rest beside. What is a child process
// here and what runs in the test's own says the same.

import t from 'tap';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { refuses, withAuthority } from './fixtures/command-line.js';
import { workingDirectory, type Finished } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(120_000);

t.test('a whole PKI, from init to inspect', (t) => {
  const directory = withAuthority(t);
  const { ztnaCerts } = directory;
  t.same(readdirSync(directory.file('pki')).sort(), ['ca.crt', 'ca.key']);
  const issues: [[role: string, name: string, ...options: string[]], string][] = [
    [['relay', 'relay-1'], 'spiffe://corp.example/relay/relay-1'],
    [['connector', 'c1', '--service', 'web', '--service', 'ssh-box'], 'spiffe://corp.example/connector/c1'],
    [['agent', 'alice', '--days', '7'], 'spiffe://corp.example/agent/alice'],
  ];
  for (const [[role, name, ...rest], identity] of issues) {
    const issued = ztnaCerts('issue', role, name, ...rest, '--dir', 'pki', '--out', 'out');
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
  t.end();
});

t.test('init never writes over a CA, not even half of one', (t) => {
  const directory = withAuthority(t);
  const before = readFileSync(directory.file('pki/ca.key'), 'utf8');
  const again = (): Finished => directory.ztnaCerts('init', '--dir', 'pki', '--trust-domain', 'corp.example');
  t.match(again(), { code: 2, stdout: '', stderr: /^ztna-certs: pki\/ca\.key exists already and is left as it is; .*\n$/ });
  t.equal(readFileSync(directory.file('pki/ca.key'), 'utf8'), before);

  const half = workingDirectory(t);
  half.write('ca.crt', 'precious');
  t.match(half.ztnaCerts('init', '--dir', '.', '--trust-domain', 'corp.example'), { code: 2, stderr: /ca\.crt exists already/ });
  t.same(readdirSync(half.path), ['ca.crt'], 'no key was made beside it');
  t.end();
});

t.test('issue replaces files only with --force, and a CA never', (t) => {
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
  t.end();
});

t.test('issue refuses an open CA key, a missing CA and a mistaken request', (t) => {
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
  refuses(t, directory.ztnaCerts('issue', 'agent', 'alice'), 'there is no CA in .: ca.crt is missing; name its directory with --dir, or make one with: ztna-certs init');
  chmodSync(directory.file('pki/ca.key'), 0o640);
  refuses(t, issue('agent', 'alice'), 'pki/ca.key holds a secret and is open to its group or others; run chmod 600 on it');
  t.same(readdirSync(directory.file('pki')).sort(), ['ca.crt', 'ca.key'], 'and writes nothing');
  t.end();
});

t.test('mistakes in the command line exit 2 with one line; help exits 0', (t) => {
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
  t.end();
});

t.test('a process of its own says and ends as the program called by a test', (t) => {
  const directory = withAuthority(t);
  directory.ztnaCerts('issue', 'agent', 'alice', '--days', '7', '--dir', 'pki');
  const calls = [
    [], ['--version'], ['--help'], ['frobnicate'], ['init', '--dir', 'x'], ['inspect', 'pki/alice.crt', '--ca', 'pki/ca.crt'], ['inspect', 'pki/alice.crt', '--key', 'pki/ca.key'],
    ['list', '--dir', 'pki', '--expiring', '30d'], ['renew', 'pki/none.crt', '--dir', 'pki'],
  ];
  const codes = calls.map((args) => {
    const finished = directory.ztnaCertsProcess(...args);
    t.same(directory.ztnaCerts(...args), finished, args.join(' '));
    return finished.code;
  });
  t.same(codes, [2, 0, 0, 2, 2, 0, 1, 1, 2], 'of every kind');
  t.end();
});
