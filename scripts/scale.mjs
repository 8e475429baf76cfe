// npm run scale [-- COUNT]: one relay and COUNT idle clients (default 10 000). Prints the figures and the verdicts of
// test/scale, which the suite runs with fewer.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';

const count = process.argv[2] ?? '10000';
if (!/^[1-9][0-9]{0,4}$/.test(count)) {
  console.error(`scale: COUNT is a number from 1 to 12000 (limits.connections of the relay), not ${JSON.stringify(count)}`);
  process.exit(2);
}
try {
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exit(2);
}
const test = join(root, 'test', 'dist-test', 'scale', 'scale.test.js');
const run = spawnSync(process.execPath, [test], { stdio: 'inherit', env: { ...process.env, ZTNA_SCALE: count } });
process.exitCode = run.status ?? 1;
