// npm test [-- --all | parts of paths]: installs and builds if needed, runs the compiled tests with tap, and ends
// with one line, `N passed, N failed`. Owns the order and the exit code: 0 only if something ran and
// nothing failed.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';
import { findTests } from './lib/compiled-files.mjs';
import { reportTap } from './lib/tap-report.mjs';

/**
 * Minutes each, and about what stands beside the overlay or for long runs of it: `--all` runs them too, a part of their
 * path runs one.
 */
const LONG =
  /(^|\/)test\/((abuse|soak|scale|k8s|workers|rotation|roaming)\/|packaging\/(images|npm-packages|systemd)\.|secrets\/(breakages|garbage|sources)\.|traffic\/(stalled-reader|stalled-flows|several-parties)\.|docs\/operations\.|restart\/returning-crowd\.)|fuzz\/test\/planted-bug\.|bench\/test\/run\./;

const main = async (args) => {
  const runsAll = args.includes('--all');
  const patterns = args.filter((argument) => argument !== '--all');
  ensureInstalled({ dev: true });
  ensureBuilt({ tests: true });
  const found = findTests(root, patterns);
  const tests = runsAll || patterns.length > 0 ? found : found.filter(({ source }) => !LONG.test(source));
  if (tests.length === 0) throw new SetupError(patterns.length > 0 ? `no test file matches ${patterns.join(' ')}` : 'there are no test files');
  return run(tests);
};

/** Runs tap on the files and reports as each one ends. */
const run = async (tests) => {
  // Only there once dependencies are installed.
  const { Parser } = await import('tap-parser');
  const sources = new Map(tests.map(({ compiled, source }) => [compiled, source]));
  const parser = new Parser();
  const totals = reportTap(parser, console.log, (file) => sources.get(file) ?? file);

  const tapDirectory = join(root, 'node_modules', 'tap');
  const { bin } = JSON.parse(readFileSync(join(tapDirectory, 'package.json'), 'utf8'));
  // Jobs, timeout and plugins are in .taprc, so that running tap by hand is the same.
  const args = [join(tapDirectory, bin.tap), 'run', '--reporter=tap', ...tests.map(({ compiled }) => compiled)];
  const tap = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => tap.kill(signal));
  tap.stdout.pipe(parser);

  const [ending] = await Promise.all([
    new Promise((resolve, reject) => tap.once('error', reject).once('close', (code, signal) => resolve({ code, signal }))),
    new Promise((resolve) => parser.once('complete', resolve)),
  ]);
  const counts = totals();
  if ((ending.code !== 0 || ending.signal) && counts.failed === 0) {
    console.log(`tap ended with ${ending.signal ?? ending.code} although no test failed`);
    counts.failed = 1;
  }
  return counts;
};

let counts;
try {
  counts = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  counts = { passed: 0, failed: 1, skipped: 0 };
}
if (counts.passed + counts.failed === 0) console.log('no test ran');
console.log(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
