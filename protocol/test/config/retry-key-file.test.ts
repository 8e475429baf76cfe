// The Retry key file: one form, and every other refused with what to do.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatRetryKeyFile, MAX_RETRY_KEY_BYTES, MIN_RETRY_KEY_BYTES, readRetryKeyFile, ZtnaError } from '@ztna/protocol';

const path = join(t.testdir({}), 'retry.key');
const write = (content: string | Buffer, mode = 0o600): void => {
  writeFileSync(path, content);
  chmodSync(path, mode);
};

/** The refusal of what was just written. */
const refusal = (): { code: string; message: string } => {
  try {
    readRetryKeyFile(path);
  } catch (error) {
    if (error instanceof ZtnaError) return { code: error.code, message: error.message };
  }
  throw new Error('it was read');
};

t.test('gives back what was written, from 32 to 256 bytes, with or without a line end', async (t) => {
  for (const length of [MIN_RETRY_KEY_BYTES, 33, MAX_RETRY_KEY_BYTES]) {
    const key = Buffer.alloc(length, 0xa7);
    write(formatRetryKeyFile(key));
    t.same(readRetryKeyFile(path), key);
    write(formatRetryKeyFile(key).trim());
    t.same(readRetryKeyFile(path), key);
  }
});

t.test('refuses a key too short or too long, raw bytes, hex and base64url, and never shows what it read', async (t) => {
  const secret = Buffer.alloc(31, 0xfb).toString('base64');
  const wrong: [string | Buffer, RegExp][] = [
    [secret, /holds 31 bytes; must hold 32 to 256/],
    [Buffer.alloc(257, 1).toString('base64'), /holds 257 bytes/],
    ['', /holds 0 bytes/],
    [Buffer.alloc(32, 0xfb), /base64 with padding/],
    ['5a'.repeat(33), /base64 with padding/],
    [Buffer.alloc(32, 0xfb).toString('base64url'), /base64 with padding/],
  ];
  for (const [content, problem] of wrong) {
    write(content);
    const { code, message } = refusal();
    t.equal(code, 'config_invalid');
    t.match(message, problem);
    t.match(message, 'ztna-certs retry-key');
    if (content.length > 0) t.notOk(message.includes(content.toString()));
  }
});

t.test('refuses a file that others can read', async (t) => {
  write(formatRetryKeyFile(Buffer.alloc(32, 1)), 0o640);
  t.equal(refusal().code, 'key_file_permissions');
});
