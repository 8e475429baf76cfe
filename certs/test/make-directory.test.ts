// Directories are made whole and private, and where the kernel makes none there is an answer instead of a loop.

import t from 'tap';
import { statSync } from 'node:fs';
import { makeDirectory } from '@ztna/certs';
import { refuses } from './fixtures/command-line.js';
import { workingDirectory } from './fixtures/working-directory.js';

t.test('makes what is missing, its owner’s alone, and says where it began', async (t) => {
  const { file } = workingDirectory(t);
  t.equal(makeDirectory(file('a/b/c')), file('a'));
  for (const made of ['a', 'a/b', 'a/b/c']) t.equal(statSync(file(made)).mode & 0o777, 0o700);
  t.equal(makeDirectory(file('a/b')), undefined);
});

t.test('a file in the way is an error', async (t) => {
  const directory = workingDirectory(t);
  directory.write('a', '');
  t.throws(() => makeDirectory(directory.file('a/b')), { code: 'ENOTDIR' });
});

t.test('a place where nothing can be made is refused at once', { skip: process.platform !== 'linux' && 'there is no /proc' }, async (t) => {
  refuses(t, workingDirectory(t).ztnaCerts('init', '--dir', '/proc/x/y', '--trust-domain', 'corp.example'), 'directory /proc/x/y cannot be made');
});
