// `ztna-certs retry-key` as a child process.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { readRetryKeyFile } from '@ztna/protocol';
import { refuses } from './fixtures/command-line.js';
import { workingDirectory } from './fixtures/working-directory.js';

t.setTimeout(120_000);

t.test('retry-key writes 32 random bytes that the relay reads, for the owner only, and prints none of them', async (t) => {
  const directory = workingDirectory(t);
  const first = directory.ztnaCerts('retry-key');
  t.match(first, { code: 0, stderr: '' });
  t.equal(directory.mode('retry.key'), 0o600);
  const key = readRetryKeyFile(directory.file('retry.key'));
  t.equal(key.length, 32);
  t.notMatch(first.stdout, readFileSync(directory.file('retry.key'), 'utf8').trim());
  t.match(directory.ztnaCerts('retry-key', '--out', 'fleet/retry.key'), { code: 0 });
  t.notSame(readRetryKeyFile(directory.file('fleet/retry.key')), key);
});

t.test('retry-key leaves an existing file as it is, unless told to replace it', async (t) => {
  const directory = workingDirectory(t);
  directory.ztnaCerts('retry-key');
  const before = readRetryKeyFile(directory.file('retry.key'));
  refuses(t, directory.ztnaCerts('retry-key'), /retry\.key exists already/);
  t.same(readRetryKeyFile(directory.file('retry.key')), before);
  t.match(directory.ztnaCerts('retry-key', '--force'), { code: 0 });
  t.notSame(readRetryKeyFile(directory.file('retry.key')), before);
  t.equal(directory.mode('retry.key'), 0o600);
});
