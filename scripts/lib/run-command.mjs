// Runs one command of the set-up and either stays quiet or shows everything it said. Owns the error
// that scripts end with; what to run and when is ensure-built.mjs and test.mjs.

import { spawnSync } from 'node:child_process';

/** A step that failed, with a message for the person at the terminal. */
export class SetupError extends Error {}

/**
 * Runs a command to its end with its output held back.
 *
 * @param {string} title what is being done, as in `building (tsc -b)`; printed before it starts
 * @param {string} file
 * @param {string[]} args
 * @param {string} cwd
 * @throws {SetupError} with the command's whole output and how it ended
 */
export const runCommand = (title, file, args, cwd) => {
  console.error(`${title} …`);
  const shell = process.platform === 'win32' && !/\.exe$/i.test(file);
  const result = spawnSync(file, args, { cwd, encoding: 'utf8', shell, maxBuffer: 64 * 1024 * 1024 });
  if (result.status === 0) return;
  if (result.error?.code === 'ENOENT') throw new SetupError(`${title} failed: ${file} was not found on the PATH${file === 'npm' ? '; it comes with Node: https://nodejs.org' : ''}`);
  const ending = result.error ? `could not start: ${result.error.message}` : result.signal ? `was ended by ${result.signal}` : `exited with ${result.status}`;
  throw new SetupError(`${result.stdout ?? ''}${result.stderr ?? ''}\n${title} failed: ${[file, ...args].join(' ')} ${ending}`);
};
