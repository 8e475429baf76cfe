// Private keys and registration keys on disk: read only when nobody else could have read them, but for
// the one group that an operator names where files are mounted for it (docs/adr/0014-secrets-group.md).
// Owns the permission rule; opening and bounds are bounded-file.ts.

import type { Stats } from 'node:fs';
import { ZtnaError } from '../errors.js';
import { readBoundedFile } from './bounded-file.js';

/** An RSA-8192 key with comments stays under 16 KiB, a keyring of a hundred keys under 64. */
export const MAX_SECRET_FILE_BYTES = 64 * 1024;
const GROUP_OR_WORLD = 0o077;
/** What even the named group may not have: to write or run it; others nothing at all. */
const BEYOND_GROUP_READ = 0o037;

/**
 * Environment variable: the numeric id of a group that may read secrets which root owns, as a Kubernetes
 * Secret volume with `fsGroup` shows them (root:GID, 0440). Default: no group may.
 */
export const SECRETS_GROUP_VARIABLE = 'ZTNA_SECRETS_GROUP';
/** 2³² − 1 means "no change" to chown(2), so no file belongs to it. */
const MAX_GROUP_ID = 2 ** 32 - 2;

/**
 * Reads a secret. A symbolic link is followed and its target judged, on the open descriptor, so the file
 * cannot be exchanged between check and read.
 *
 * @throws ZtnaError `key_file_permissions` when group or others have any right to it, other than the secrets group's
 *   to read; `config_invalid` when that group is no group id; `file_unreadable` when it is missing, not a regular file, or larger than 64 KiB
 */
export const readSecretFile = (path: string): Buffer =>
  readBoundedFile(path, { maxBytes: MAX_SECRET_FILE_BYTES, inspect: (stats) => assertOwnerOnly(path, stats) });

/**
 * For a file that turns out to hold a secret only once it is read.
 *
 * @throws ZtnaError `key_file_permissions` and `config_invalid` as `readSecretFile`
 */
export const assertOwnerOnly = (path: string, stats: Stats): void => {
  // Windows has no such bits: Node reports 0666 for every file there.
  if (process.platform === 'win32' || (stats.mode & GROUP_OR_WORLD) === 0) return;
  const group = secretsGroup(process.env[SECRETS_GROUP_VARIABLE]);
  if (group !== undefined && isMountedFor(group, stats)) return;
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  const expected = group === undefined ? '' : ` (and is not root's with no more than reading for group ${group}, which ${SECRETS_GROUP_VARIABLE} allows)`;
  throw new ZtnaError(
    'key_file_permissions',
    `${path} holds a secret but has mode ${mode}, so others than its owner can get at it${expected}; run: chmod 600 ${shellQuote(path)}`,
  );
};

/** Root's, so that no member of the group can give itself more; the group reads, and that is all. */
const isMountedFor = (group: number, { uid, gid, mode }: Stats): boolean => uid === 0 && gid === group && (mode & BEYOND_GROUP_READ) === 0;

/**
 * @returns undefined when unset or empty
 * @throws ZtnaError `config_invalid` for anything but a group id; 0 too, because root's group is what a process has
 *   that was given none
 */
const secretsGroup = (value: string | undefined): number | undefined => {
  if (value === undefined || value === '') return undefined;
  const id = /^[1-9]\d{0,9}$/.test(value) ? Number(value) : Number.NaN;
  if (id <= MAX_GROUP_ID) return id;
  throw new ZtnaError('config_invalid', `${SECRETS_GROUP_VARIABLE} is ${JSON.stringify(value)}: must be the number of one group, from 1 to ${MAX_GROUP_ID}, such as a pod's fsGroup`);
};

const shellQuote = (text: string): string =>
  /^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
