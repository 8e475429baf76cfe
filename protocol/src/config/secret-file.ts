// Private keys and registration keys on disk: read only when nobody else could have read them.
// Owns the permission rule; opening and bounds are bounded-file.ts.

import type { Stats } from 'node:fs';
import { ZtnaError } from '../errors.js';
import { readBoundedFile } from './bounded-file.js';

/** An RSA-8192 key with comments stays under 16 KiB, a keyring of a hundred keys under 64. */
export const MAX_SECRET_FILE_BYTES = 64 * 1024;
const GROUP_OR_WORLD = 0o077;

/**
 * Reads a secret. A symbolic link is followed and its target judged, on the open descriptor, so the file
 * cannot be exchanged between check and read.
 *
 * @throws ZtnaError `key_file_permissions` when group or others have any right to it;
 *   `file_unreadable` when it is missing, not a regular file, or larger than 64 KiB
 */
export const readSecretFile = (path: string): Buffer =>
  readBoundedFile(path, { maxBytes: MAX_SECRET_FILE_BYTES, inspect: (stats) => assertOwnerOnly(path, stats) });

/**
 * For a file that turns out to hold a secret only once it is read.
 *
 * @throws ZtnaError `key_file_permissions` when group or others have any right to it
 */
export const assertOwnerOnly = (path: string, stats: Stats): void => {
  // Windows has no such bits: Node reports 0666 for every file there.
  if (process.platform === 'win32' || (stats.mode & GROUP_OR_WORLD) === 0) return;
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  throw new ZtnaError(
    'key_file_permissions',
    `${path} holds a secret but has mode ${mode}, so others than its owner can get at it; run: chmod 600 ${shellQuote(path)}`,
  );
};

const shellQuote = (text: string): string =>
  /^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
