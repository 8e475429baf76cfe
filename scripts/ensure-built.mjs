// From a fresh clone to something that runs: installs dependencies and compiles, each only when
// needed. No dependencies of its own, as it runs before there are any.

import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeOrphans } from './lib/compiled-files.mjs';
import { runCommand, SetupError } from './lib/run-command.mjs';

export { SetupError };

/** The repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MINIMUM_NODE = 20;

/** @throws {SetupError} below Node 20 */
export const checkNode = (version = process.versions.node) => {
  if (Number.parseInt(version, 10) < MINIMUM_NODE)
    throw new SetupError(`Node ${MINIMUM_NODE} or later is needed, and this is Node ${version} (${process.execPath}).`);
};

/**
 * Runs `npm ci` when node_modules is missing, incomplete or older than package-lock.json, or lacks the
 * development tools that `dev` asks for.
 *
 * @param {{ dev: boolean, directory?: string }} options `dev: false` leaves tests' and lint's dependencies out
 * @throws {SetupError} with npm's output
 */
export const ensureInstalled = ({ dev, directory = root }) => {
  checkNode();
  if (!needsInstall(directory, dev)) return;
  // The lock file pins every version by its hash, so what is in npm's cache needs no asking.
  const args = ['ci', '--no-audit', '--no-fund', '--prefer-offline', ...(dev ? [] : ['--omit=dev'])];
  // npm tells its children where it is; else it is on the PATH.
  const npm = process.env.npm_execpath ?? '';
  const [file, before] = /npm-cli\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  runCommand(`installing dependencies (npm ${args.join(' ')})`, file, [...before, ...args], directory);
};

/**
 * Whether npm has to run. npm writes node_modules/.package-lock.json last, so without it an install was
 * cut off.
 */
export const needsInstall = (directory, dev) => {
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return true;
  if (statSync(installed).mtimeMs < statSync(join(directory, 'package-lock.json')).mtimeMs) return true;
  return dev && !existsSync(join(directory, 'node_modules', 'tap', 'package.json'));
};

/**
 * Compiles what changed, after removing what was compiled from files that are gone.
 *
 * @param {{ tests: boolean }} options `tests: true` compiles the tests too
 * @throws {SetupError} with the compiler's output
 */
export const ensureBuilt = ({ tests }) => {
  removeOrphans(root);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  runCommand('building (tsc -b)', process.execPath, [tsc, '-b'], root);
  if (tests) runCommand('building the tests (tsc -b tsconfig.test.json)', process.execPath, [tsc, '-b', 'tsconfig.test.json'], root);
};
