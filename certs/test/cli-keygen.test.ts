// `ztna-certs keygen` as a child process: both halves, least privilege, and nothing written when refused.

import t from 'tap';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { refuses } from './fixtures/command-line.js';
import { workingDirectory, type Finished } from './fixtures/working-directory.js';

// Many short processes; a busy machine needs more than the usual 30 s.
t.setTimeout(120_000);

t.test('keygen writes the client file and the keyring entry', (t) => {
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
  t.end();
});

t.test('keygen prints no secret', (t) => {
  const directory = workingDirectory(t);
  const { stdout } = directory.ztnaCerts('keygen', '--key-id', 'a', '--role', 'agent', '--any-identity', '--algorithm', 'hmac-sha256');
  const { secret } = parse(readFileSync(directory.file('a.regkey'), 'utf8')) as { secret: string };
  t.equal(secret.length, 44);
  t.notMatch(stdout, secret);
  t.end();
});

t.test('keygen refuses what is not least privilege or not valid, and then writes nothing', (t) => {
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
  t.end();
});

t.test('keygen refuses a taken key id or file and leaves both halves as they were', (t) => {
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
  t.end();
});
