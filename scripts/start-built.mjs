// Starts a long-running program of the compiled tests: installs and builds what is missing, then runs it and passes on
// how it ended. What it does, and its options, are its own.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

/** @param {string} script below the repository's root */
export const startBuilt = (script) => {
  try {
    ensureInstalled({ dev: true });
    ensureBuilt({ tests: true });
    const child = spawn(process.execPath, [join(root, script), ...process.argv.slice(2)], { stdio: 'inherit' });
    // Ctrl-C reaches it by itself; it ends what it started, and this process waits for it.
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.once('close', (code) => (process.exitCode = code ?? 1));
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exitCode = 1;
  }
};
