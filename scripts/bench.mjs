// npm run bench [-- options]: installs and builds what is missing, then runs bench/main.ts. Owns nothing of the run itself.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

try {
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
  const bench = spawn(process.execPath, [join(root, 'bench', 'dist-test', 'main.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches it by itself; it ends what it started, and this process waits for it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => bench.kill('SIGTERM'));
  bench.once('close', (code) => (process.exitCode = code ?? 1));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 1;
}
