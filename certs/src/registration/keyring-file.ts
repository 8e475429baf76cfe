// The relay's keyring file: adds one entry and keeps the others, comments included, as they were.
// Always 0600, since it may hold an HMAC secret. Judging the other entries is the relay's, when it loads them.

import { unlinkSync } from 'node:fs';
import { ZtnaError } from '@ztna/protocol';
import { isMap, isScalar, isSeq, parseDocument, type YAMLSeq } from 'yaml';
import { createFile, existing, moveIntoPlace, readTextFile, SECRET_MODE } from '../files/secret-file.js';
import type { KeyringEntry } from './registration-key.js';

/**
 * Adds `entry` to the keyring at `path`, creating it if need be. `beforeCommit` runs once the addition is
 * known to be possible and before it shows; if it throws, the keyring stays as it was. Of two writers at
 * once the second is refused, by the lock file that also becomes the new keyring.
 * @throws ZtnaError `keyring_invalid` (unparsable, or the keyId is taken), `keyring_locked`, `file_unreadable`, `file_unwritable`
 */
export const addToKeyring = (path: string, entry: KeyringEntry, beforeCommit: () => void): void => {
  const lock = `${path}.lock`;
  try {
    createFile(lock, SECRET_MODE, () => {
      const owner = existing(path);
      if (owner?.isSymbolicLink()) {
        throw new ZtnaError('file_unwritable', `${path} is a symbolic link; name the file it points at`);
      }
      return { text: withEntry(owner ? readTextFile(path).text : '', entry, path), owner };
    });
  } catch (cause) {
    if (!(cause instanceof ZtnaError) || cause.code !== 'file_exists') throw cause;
    throw new ZtnaError('keyring_locked', `${path} is being changed by another command; if none is running, remove ${lock}`, { cause });
  }
  try {
    beforeCommit();
  } catch (error) {
    unlinkSync(lock);
    throw error;
  }
  moveIntoPlace(lock, path);
};

/**
 * The keyring text `current` (empty: none yet) with `entry` at its end. `path` is for messages, which never
 * quote the text: it may hold secrets.
 * @throws ZtnaError `keyring_invalid`
 */
export const withEntry = (current: string, entry: KeyringEntry, path: string): string => {
  const document = parseDocument(current);
  const fault = document.errors[0];
  if (fault) {
    const line = fault.linePos?.[0].line;
    throw new ZtnaError('keyring_invalid', `${path} is not valid YAML${line === undefined ? '' : `, line ${line}`}; nothing was added`);
  }
  const keys = keyList(document.contents, path);
  if (keys?.items.some((item) => isMap(item) && item.get('keyId') === entry.keyId)) {
    throw new ZtnaError('keyring_invalid', `${path} already has a key ${entry.keyId}; choose another --key-id`);
  }
  const node = document.createNode(entry);
  if (keys) {
    keys.flow = false;
    keys.add(node);
  } else if (isMap(document.contents)) {
    document.set('keys', document.createNode([entry]));
  } else {
    document.contents = document.createNode({ keys: [entry] }) as unknown as typeof document.contents;
  }
  return document.toString({ lineWidth: 0 });
};

/** The `keys` list, or undefined where there is none yet. */
const keyList = (root: unknown, path: string): YAMLSeq | undefined => {
  if (root === null || root === undefined || (isScalar(root) && root.value === null)) return undefined;
  if (!isMap(root)) throw new ZtnaError('keyring_invalid', `${path} is not a keyring: its top level must be a map with a list "keys"`);
  const keys: unknown = root.get('keys', true);
  if (keys === undefined || keys === null || (isScalar(keys) && keys.value === null)) return undefined;
  if (!isSeq(keys)) throw new ZtnaError('keyring_invalid', `${path}: "keys" must be a list`);
  return keys;
};
