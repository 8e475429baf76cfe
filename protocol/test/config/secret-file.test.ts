// Secrets on disk: who may be able to read them, and what else is not a file to read one from.

import t from 'tap';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_SECRET_FILE_BYTES, readSecretFile, ZtnaError } from '@ztna/protocol';

const dir = t.testdir({ key: 'secret' });
const at = (name: string): string => join(dir, name);
const refusal = (path: string): string => {
  try {
    readSecretFile(path);
  } catch (error) {
    if (isZtnaError(error)) return `${error.code}: ${error.message.replaceAll(dir, 'DIR')}`;
    throw error;
  }
  return 'accepted';
};

t.test('any right of group or others is refused, with the mode and the command that mends it', (t) => {
  for (const mode of [0o400, 0o600, 0o700]) {
    chmodSync(at('key'), mode);
    t.equal(readSecretFile(at('key')).toString(), 'secret', mode.toString(8));
  }
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777]) {
    chmodSync(at('key'), mode);
    t.equal(
      refusal(at('key')),
      `key_file_permissions: DIR/key holds a secret but has mode 0${mode.toString(8)}, so others than its owner can get at it; run: chmod 600 DIR/key`,
    );
  }
  t.end();
});

t.test('the command is quoted for a shell', (t) => {
  writeFileSync(at("o'neil key"), 'x', { mode: 0o600 });
  chmodSync(at("o'neil key"), 0o644);
  t.match(refusal(at("o'neil key")), "run: chmod 600 'DIR/o'\\''neil key'");
  t.end();
});

t.test('a symbolic link is judged by its target', (t) => {
  mkdirSync(at('..data'));
  writeFileSync(at('..data/private'), 'inside', { mode: 0o600 });
  writeFileSync(at('..data/open'), 'inside');
  chmodSync(at('..data/open'), 0o644);
  symlinkSync('..data/private', at('private'));
  symlinkSync('..data/open', at('open'));
  symlinkSync('loop', at('loop'));
  t.equal(readSecretFile(at('private')).toString(), 'inside');
  t.match(refusal(at('open')), /^key_file_permissions: .* has mode 0644/);
  t.equal(refusal(at('loop')), 'file_unreadable: cannot read DIR/loop: too many symbolic links');
  t.end();
});

t.test('what is not a small regular file is refused without waiting on it', (t) => {
  execFileSync('mkfifo', ['-m', '600', at('fifo')]);
  writeFileSync(at('full'), Buffer.alloc(MAX_SECRET_FILE_BYTES), { mode: 0o600 });
  writeFileSync(at('large'), Buffer.alloc(MAX_SECRET_FILE_BYTES + 1), { mode: 0o600 });
  t.equal(refusal(at('fifo')), 'file_unreadable: cannot read DIR/fifo: it is a FIFO, not a regular file');
  t.equal(refusal(dir), 'file_unreadable: cannot read DIR: it is a directory, not a regular file');
  t.equal(refusal('/dev/zero'), 'file_unreadable: cannot read /dev/zero: it is a device, not a regular file');
  t.equal(readSecretFile(at('full')).length, 65536, '64 KiB is not too large');
  t.equal(refusal(at('large')), 'file_unreadable: cannot read DIR/large: it is larger than 65536 bytes');
  t.equal(refusal(at('absent')), 'file_unreadable: cannot read DIR/absent: no such file; check the path');
  t.end();
});

function isZtnaError(error: unknown): error is ZtnaError {
  return error instanceof ZtnaError;
}
