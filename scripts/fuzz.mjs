// npm run fuzz [-- options]: installs and builds if needed, then searches for inputs that break a decoder.
// Options and output are fuzz/main.ts's.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

try {
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
  await import(pathToFileURL(join(root, 'fuzz', 'dist-test', 'main.js')).href);
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 2;
}
