// npm run abuse [-- --short] [parts of names]: installs and builds what is missing, then attacks a relay of its
// own in every way test/abuse knows. Owns these steps only; the attacks and the table are test/abuse/main.ts.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

try {
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
  const main = join(root, 'test', 'dist-test', 'abuse', 'main.js');
  const { status } = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(error instanceof SetupError ? `abuse: ${error.message.trim()}` : error);
  process.exitCode = 1;
}
