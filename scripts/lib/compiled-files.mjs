// Which compiled file comes from which source: src → dist and test → dist-test in each package, and the
// same for quickstart, the end-to-end tests in test/, fuzz/ and bench/. Finds tests to run, and removes what no source stands behind.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const OUTPUT = /(\.d\.ts|\.js)(\.map)?$/;

/** [source, output] folders, relative to the root. */
const folders = (root) => {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packages = workspaces.flatMap((name) => [[`${name}/src`, `${name}/dist`], [`${name}/test`, `${name}/dist-test`]]);
  return [...packages, ['scripts/quickstart', 'scripts/dist'], ['test', 'test/dist-test'], ['fuzz', 'fuzz/dist-test'], ['bench', 'bench/dist-test']];
};

const filesUnder = (directory) => {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath ?? entry.path, entry.name)));
};

/**
 * Removes compiled files whose source was deleted or renamed: a test that is gone must not go on passing.
 *
 * @returns {string[]} what was removed, relative to the root
 */
export const removeOrphans = (root) => {
  const removed = [];
  for (const [source, output] of folders(root))
    for (const file of filesUnder(join(root, output))) {
      if (!OUTPUT.test(file)) continue;
      const stem = join(root, source, file.replace(OUTPUT, ''));
      if (existsSync(`${stem}.ts`)) continue;
      rmSync(join(root, output, file));
      removed.push(join(output, file));
    }
  return removed;
};

/**
 * The compiled tests, relative to the root, with `/` on every platform.
 *
 * @param {string[]} patterns parts of paths, sources (`protocol/test/log`, `logger.test.ts`) or compiled; none: every test
 */
export const findTests = (root, patterns = []) => {
  const tests = folders(root)
    .filter(([, output]) => output.endsWith('dist-test'))
    .flatMap(([source, output]) =>
      filesUnder(join(root, output))
        .filter((file) => file.endsWith('.test.js'))
        .map((file) => ({ compiled: posix(join(output, file)), source: posix(join(source, file.replace(/\.js$/, '.ts'))) })),
    );
  const wanted = patterns.map((pattern) => posix(pattern.replace(root + sep, '')).replace(/^\.\//, ''));
  return tests.filter(({ compiled, source }) => wanted.length === 0 || wanted.some((part) => source.includes(part) || compiled.includes(part))).sort((a, b) => (a.source < b.source ? -1 : 1));
};

const posix = (path) => path.split(sep).join('/');
