// Secrets on disk: who may be able to read them, and what else is not a file to read one from.

import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { assertOwnerOnly, MAX_SECRET_FILE_BYTES, readSecretFile, SECRETS_GROUP_VARIABLE, ZtnaError } from '@ztna/protocol';

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

/** As fstat shows a file of that owner, group and mode; only root can make a real one. */
const shown = (uid: number, gid: number, mode: number): Stats => Object.assign(statSync(dir), { uid, gid, mode: 0o100000 | mode });

const judgement = (uid: number, gid: number, mode: number): string => {
  try {
    assertOwnerOnly('key', shown(uid, gid, mode));
  } catch (error) {
    if (isZtnaError(error)) return error.code;
    throw error;
  }
  return 'accepted';
};

const withGroup = (t: Test, value: string | undefined): void => {
  const before = process.env[SECRETS_GROUP_VARIABLE];
  const set = (to: string | undefined): void => {
    if (to === undefined) delete process.env[SECRETS_GROUP_VARIABLE];
    else process.env[SECRETS_GROUP_VARIABLE] = to;
  };
  set(value);
  t.teardown(() => set(before));
};

t.test('a secrets group may read what root owns, and no more than read', (t) => {
  withGroup(t, '65532');
  const modes = Array.from({ length: 0o1000 }, (_, mode) => mode);
  const accepted = (uid: number, gid: number): number[] => modes.filter((mode) => judgement(uid, gid, mode) === 'accepted');
  const ownerOnly = modes.filter((mode) => (mode & 0o077) === 0);
  const groupReads = modes.filter((mode) => (mode & 0o077) === 0 || (mode & 0o077) === 0o040);
  t.strictSame(accepted(0, 65532), groupReads, "root's file of that group");
  t.strictSame(accepted(0, 65533), ownerOnly, 'of another group');
  t.strictSame(accepted(0, 0), ownerOnly, "of root's group");
  t.strictSame(accepted(65532, 65532), ownerOnly, "the process's own file, whose mode it could change itself");
  t.strictSame(accepted(1000, 65532), ownerOnly, "another user's file");
  t.end();
});

t.test('without a secrets group, a group that reads is refused, whoever owns the file', (t) => {
  for (const value of [undefined, '']) {
    withGroup(t, value);
    t.equal(judgement(0, 65532, 0o440), 'key_file_permissions');
    t.equal(judgement(0, 0, 0o440), 'key_file_permissions');
    t.equal(judgement(0, 65532, 0o400), 'accepted');
  }
  t.end();
});

t.test('a secrets group that is no group id is refused by name, as is the group of root', (t) => {
  for (const value of ['0', '065532', '-1', '1.5', '65532 ', '65532,65533', 'root', '0x10', '4294967295', '99999999999']) {
    withGroup(t, value);
    t.equal(judgement(0, 65532, 0o440), 'config_invalid', value);
    t.equal(judgement(0, 65532, 0o400), 'accepted', `${value}: not looked at for an owner's own file`);
  }
  withGroup(t, 'nobody');
  t.throws(() => assertOwnerOnly('key', shown(0, 65532, 0o440)), { message: 'ZTNA_SECRETS_GROUP is "nobody": must be the number of one group, from 1 to 4294967294, such as a pod\'s fsGroup' });
  t.end();
});

t.test('a file of the secrets group is read from disk; what it may not have is said', { skip: process.getuid?.() !== 0 && 'only root can give files to another group' }, (t) => {
  withGroup(t, '65532');
  writeFileSync(at('mounted'), 'secret');
  chownSync(at('mounted'), 0, 65532);
  chmodSync(at('mounted'), 0o440);
  t.equal(readSecretFile(at('mounted')).toString(), 'secret');
  chmodSync(at('mounted'), 0o444);
  t.equal(
    refusal(at('mounted')),
    "key_file_permissions: DIR/mounted holds a secret but has mode 0444, so others than its owner can get at it (and is not root's with no more than reading for group 65532, which ZTNA_SECRETS_GROUP allows); run: chmod 600 DIR/mounted",
  );
  t.end();
});

function isZtnaError(error: unknown): error is ZtnaError {
  return error instanceof ZtnaError;
}
