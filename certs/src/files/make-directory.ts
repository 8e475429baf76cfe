// Makes a directory and those above it that are missing. Not mkdir's own `recursive`: where the kernel makes no directory
// and says that there is none (/proc), Node 20 tries for ever.

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** What is made is its owner's alone. */
const MODE = 0o700;

/**
 * @returns the topmost directory that had to be made, or undefined when all were there
 * @throws an error of node:fs, ENOTDIR when something else has the name
 */
export const makeDirectory = (directory: string): string | undefined => {
  const missing: string[] = [];
  let current = resolve(directory);
  for (; !existsSync(current); current = dirname(current)) missing.push(current);
  if (!statSync(current).isDirectory()) throw Object.assign(new Error(`ENOTDIR: ${current} is not a directory`), { code: 'ENOTDIR' });
  for (const path of [...missing].reverse()) makeOne(path);
  return missing.at(-1);
};

const makeOne = (path: string): void => {
  try {
    mkdirSync(path, { mode: MODE });
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
  }
};
