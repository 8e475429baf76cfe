// The directory of one run. Owns which files are quickstart's, the refusal to touch anyone else's, and their
// removal. It is meant to leave nothing, but removes nothing that it did not make.

import { existsSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory as makePrivateDirectory } from '@ztna/certs';
import { QuickstartFailure, errorCode } from './failure.js';
import { acquireLock, type Lock } from './lock.js';
import { JOURNAL_FILE, POLICY_FILE, PROCESS_FILES } from './names.js';
import { makePki, PKI_FILES } from './pki.js';

const OWN_FILES = [...PKI_FILES, POLICY_FILE, JOURNAL_FILE, `${JOURNAL_FILE}.new`, ...Object.values(PROCESS_FILES).flatMap(({ config, log }) => [config, log])];

export interface Workspace {
  readonly lock: Lock;
  /** Writes a configuration file; returns its path. */
  write(name: string, text: string): string;
  path(name: string): string;
  /** Removes every file of ours, the directories that were made for them, and last the lock. */
  remove(): void;
}

/** @throws QuickstartFailure when a copy runs there, or files are there that are not ours */
export const openWorkspace = (directory: string): Workspace => {
  const made = makeDirectory(directory);
  const path = (name: string): string => join(directory, name);
  const lock = acquireLock(directory);
  const removeFiles = (): void => {
    for (const name of OWN_FILES) rmSync(path(name), { force: true });
  };
  const remove = (): void => {
    removeFiles();
    lock.release();
    removeEmpty(directory, made);
  };
  if (lock.takenOver) removeFiles();
  const foreign = OWN_FILES.find((name) => existsSync(path(name)));
  if (foreign !== undefined) {
    lock.release();
    throw new QuickstartFailure(`${path(foreign)} exists, and quickstart did not leave it there. Remove it, or use another directory with --dir.`);
  }
  try {
    makePki(directory);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    lock,
    path,
    write: (name, text) => {
      writeFileSync(path(name), text, { mode: 0o644, flag: 'wx' });
      return path(name);
    },
    remove,
  };
};

/** The topmost directory that had to be made. */
const makeDirectory = (directory: string): string => {
  try {
    // Throw-away keys are nobody's business either: 0700.
    return makePrivateDirectory(directory) ?? directory;
  } catch (error) {
    throw new QuickstartFailure(`the directory ${directory} cannot be made: ${errorCode(error) ?? String(error)}. Use another with --dir.`);
  }
};

/** From `directory` up to `topmost`, as far as they are empty. */
const removeEmpty = (directory: string, topmost: string): void => {
  for (let current = directory; ; current = dirname(current)) {
    try {
      rmdirSync(current);
    } catch {
      return; // Somebody put a file of their own there, or is working in it.
    }
    if (current === topmost) return;
  }
};
