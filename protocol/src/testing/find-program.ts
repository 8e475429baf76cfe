// Where a program of somebody else's is, for tests and benchmarks that run one if it is installed.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Daemons are often outside an ordinary user's PATH. */
const EXTRA_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin', '/sbin'];

/** The full path of a program, or undefined. */
export const findProgram = (name: string): string | undefined => {
  const directories = [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_DIRECTORIES];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
