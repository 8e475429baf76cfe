// npm run soak [-- options]: installs and builds if needed, then runs test/soak/main.ts. Owns nothing of the run itself.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

try {
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
  const soak = spawn(process.execPath, [join(root, 'test', 'dist-test', 'soak', 'main.js'), ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
  // Ctrl-C reaches it by itself; it stops in good order, and this process waits for it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => soak.kill('SIGTERM'));
  soak.once('close', (code) => (process.exitCode = code ?? 1));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 1;
}
