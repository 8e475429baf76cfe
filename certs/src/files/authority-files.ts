// Where a CA lives in a directory: ca.crt and ca.key. Owns the names and the refusal to write over them.

import { unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ZtnaError } from '@ztna/protocol';
import type { Authority } from '../authority.js';
import { makeDirectory } from './make-directory.js';
import {
  createFile, existing, moveIntoPlace, PUBLIC_MODE, readSecretFile, readTextFile, SECRET_MODE, writePublicFile, writeSecretFile,
} from './secret-file.js';

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

/** What the CA has signed, one certificate a line. */
export const recordPath = (directory: string): string => join(directory, 'issued.jsonl');

/** @throws ZtnaError `file_unreadable` or `key_file_permissions` */
export const readAuthority = (directory: string): Authority => {
  const paths = authorityPaths(directory);
  if (!existing(paths.certificate)) {
    throw new ZtnaError('file_unreadable', `there is no CA in ${directory}: ${paths.certificate} is missing; name its directory with --dir, or make one with: ztna-certs init`);
  }
  return { certificatePem: readTextFile(paths.certificate).text, keyPem: readSecretFile(paths.key) };
};

/** Creates `directory` (0700) if it is missing. */
export const ensureDirectory = (directory: string): void => {
  try {
    makeDirectory(directory);
  } catch (cause) {
    throw new ZtnaError('file_unwritable', `directory ${directory} cannot be made`, { cause });
  }
};

export interface WritePairOptions {
  readonly replace: boolean;
  readonly hint: string;
  /** Runs once nothing stands in the way and before anything is written; what it throws leaves everything as it was. */
  readonly record?: () => void;
}

/**
 * Writes a certificate and its key. Both names are checked before either is written, and a new key whose
 * certificate cannot be written goes again. A crash while replacing can leave an old and a new half, which
 * `inspect --key` reports.
 * @throws ZtnaError `file_exists` unless `replace`, `file_unwritable`
 */
export const writePair = (paths: PairPaths, pair: Authority, options: WritePairOptions): void => {
  ensureDirectory(dirname(paths.key));
  if (!options.replace) {
    for (const path of [paths.key, paths.certificate]) {
      if (existing(path)) throw new ZtnaError('file_exists', `${path} exists already and is left as it is; ${options.hint}`);
    }
  }
  options.record?.();
  writeSecretFile(paths.key, pair.keyPem, options);
  try {
    writePublicFile(paths.certificate, pair.certificatePem, options);
  } catch (error) {
    if (!options.replace) unlinkSync(paths.key);
    throw error;
  }
};

/**
 * Replaces a certificate, and its key if there is a new one, keeping the old certificate as NAME.crt.old. Both new
 * files are on disk before either shows, so that the time in which they do not belong together is that of two renames.
 * Of two commands at once the second is refused.
 * @param record runs once nothing stands in the way; what it throws leaves everything as it was
 * @throws ZtnaError `file_locked`; `file_unwritable`: then both are as they were, unless the disk failed between the renames
 */
export const replacePair = (
  paths: PairPaths,
  pair: { readonly certificatePem: string; readonly keyPem?: string },
  record: () => void,
): { readonly old: string } => {
  const old = `${paths.certificate}.old`;
  const newCertificate = `${paths.certificate}.new`;
  const newKey = `${paths.key}.new`;
  stage(newCertificate, paths.certificate, pair.certificatePem, PUBLIC_MODE);
  try {
    record();
    writePublicFile(old, readTextFile(paths.certificate).text, { replace: true });
    if (pair.keyPem !== undefined) {
      stage(newKey, paths.key, pair.keyPem, SECRET_MODE);
      moveIntoPlace(newKey, paths.key);
    }
  } catch (error) {
    unlinkSync(newCertificate);
    throw error;
  }
  moveIntoPlace(newCertificate, paths.certificate);
  return { old };
};

const stage = (path: string, target: string, text: string, mode: number): void => {
  try {
    createFile(path, mode, () => ({ text, owner: existing(target) }));
  } catch (cause) {
    if (!(cause instanceof ZtnaError) || cause.code !== 'file_exists') throw cause;
    throw new ZtnaError('file_locked', `${target} is being renewed by another command; if none is running, remove ${path}`, { cause });
  }
};
