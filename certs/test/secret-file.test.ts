// Secrets on disk: who can read them, and what is never written over.

import t from 'tap';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { readSecretFile, writePublicFile, writeSecretFile } from '@ztna/certs';
import { workingDirectory } from './fixtures/working-directory.js';

t.test('a secret is readable by its owner only, whatever the umask', (t) => {
  const directory = workingDirectory(t);
  for (const umask of [0o000, 0o022, 0o277]) {
    const before = process.umask(umask);
    try {
      writeSecretFile(directory.file(`secret-${umask}`), 'text');
      writePublicFile(directory.file(`public-${umask}`), 'text');
    } finally {
      process.umask(before);
    }
    t.equal(directory.mode(`secret-${umask}`), 0o600);
    t.equal(directory.mode(`public-${umask}`), 0o644);
  }
  t.end();
});

t.test('an existing file is left as it is', (t) => {
  const directory = workingDirectory(t);
  const path = directory.write('a.key', 'old');
  t.throws(() => writeSecretFile(path, 'new'), { code: 'file_exists' });
  t.equal(readFileSync(path, 'utf8'), 'old');
  t.end();
});

t.test('a planted symbolic link is not followed, dangling or not, replacing or not', (t) => {
  const directory = workingDirectory(t);
  const target = directory.write('target', 'untouched');
  symlinkSync(target, directory.file('a.key'));
  symlinkSync(directory.file('nowhere'), directory.file('b.key'));
  t.throws(() => writeSecretFile(directory.file('a.key'), 'new'), { code: 'file_exists' });
  t.throws(() => writeSecretFile(directory.file('b.key'), 'new'), { code: 'file_exists' });
  t.notOk(existsSync(directory.file('nowhere')));
  writeSecretFile(directory.file('a.key'), 'new', { replace: true });
  t.equal(readFileSync(target, 'utf8'), 'untouched');
  t.equal(readFileSync(directory.file('a.key'), 'utf8'), 'new');
  t.end();
});

t.test('replacing closes an open file and leaves no temporary one', (t) => {
  const directory = workingDirectory(t);
  const path = directory.write('a.key', 'old', 0o644);
  writeSecretFile(path, 'new', { replace: true });
  t.equal(readFileSync(path, 'utf8'), 'new');
  t.equal(directory.mode('a.key'), 0o600);
  t.same(readdirSync(directory.path), ['a.key']);
  t.end();
});

t.test('a file that cannot be written is a clear error and leaves nothing', (t) => {
  const directory = workingDirectory(t);
  t.throws(() => writeSecretFile(directory.file('missing/a.key'), 'x'), { code: 'file_unwritable', message: /missing\/a\.key cannot be written: ENOENT/ });
  mkdirSync(directory.file('a.key'));
  t.throws(() => writeSecretFile(directory.file('a.key'), 'x', { replace: true }), { code: 'file_unwritable' });
  t.same(readdirSync(directory.path), ['a.key']);
  t.end();
});

t.test('a secret open to group or others is not read', (t) => {
  const directory = workingDirectory(t);
  const path = directory.write('a.key', 'secret');
  t.equal(readSecretFile(path), 'secret');
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    chmodSync(path, mode);
    t.throws(() => readSecretFile(path), { code: 'key_file_permissions', message: /chmod 600/ }, mode.toString(8));
  }
  t.end();
});

t.test('a file that never ends is refused', { skip: existsSync('/dev/zero') ? false : 'no /dev/zero here' }, (t) => {
  const { ztnaCerts } = workingDirectory(t);
  const { code, stderr } = ztnaCerts('inspect', '/dev/zero');
  t.equal(code, 2);
  t.match(stderr, /^ztna-certs: \/dev\/zero cannot be read: it is larger than 4194304 bytes\n$/);
  t.end();
});

