// Where a CA lives in a directory: ca.crt and ca.key. Owns the names and the refusal to write over them.

import { mkdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ZtnaError } from '@ztna/protocol';
import type { Authority } from '../authority.js';
import { existing, readSecretFile, readTextFile, writePublicFile, writeSecretFile } from './secret-file.js';

export interface PairPaths {
  readonly certificate: string;
  readonly key: string;
}

export const pairPaths = (directory: string, name: string): PairPaths => ({
  certificate: join(directory, `${name}.crt`),
  key: join(directory, `${name}.key`),
});

/** No other certificate may take this file name. */
export const AUTHORITY_NAME = 'ca';

export const authorityPaths = (directory: string): PairPaths => pairPaths(directory, AUTHORITY_NAME);

/** @throws ZtnaError `file_unreadable` or `key_file_permissions` */
export const readAuthority = (directory: string): Authority => {
  const paths = authorityPaths(directory);
  return { certificatePem: readTextFile(paths.certificate).text, keyPem: readSecretFile(paths.key) };
};

/** Creates `directory` (0700) if it is missing. */
export const ensureDirectory = (directory: string): void => {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ZtnaError('file_unwritable', `directory ${directory} cannot be made`, { cause });
  }
};

/**
 * Writes a certificate and its key. Both names are checked before either is written, and a new key whose
 * certificate cannot be written goes again. A crash while replacing can leave an old and a new half, which
 * `inspect --key` reports.
 * @throws ZtnaError `file_exists` unless `replace`, `file_unwritable`
 */
export const writePair = (paths: PairPaths, pair: Authority, options: { replace: boolean; hint: string }): void => {
  ensureDirectory(dirname(paths.key));
  if (!options.replace) {
    for (const path of [paths.key, paths.certificate]) {
      if (existing(path)) throw new ZtnaError('file_exists', `${path} exists already and is left as it is; ${options.hint}`);
    }
  }
  writeSecretFile(paths.key, pair.keyPem, options);
  try {
    writePublicFile(paths.certificate, pair.certificatePem, options);
  } catch (error) {
    if (!options.replace) unlinkSync(paths.key);
    throw error;
  }
};
