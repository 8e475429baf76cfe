// npm run pack [-- --out DIR] [WORKSPACE …]: builds, and makes the tarball of each program, for `npm install --global`.
// Prints the path of each.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled, root, SetupError } from './ensure-built.mjs';
import { readLock } from './lib/lock-closure.mjs';
import { stagePackage } from './lib/npm-package.mjs';

/** The workspaces that have a program. */
const programs = () => {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return workspaces.filter((workspace) => JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8')).bin);
};

const main = () => {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { out: { type: 'string', default: 'release' } } });
  const known = programs();
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new SetupError(`no such program: ${unknown.join(', ')}; there are ${known.join(', ')}`);
  ensureInstalled({ dev: false });
  ensureBuilt({ tests: false });
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  const lock = readLock(root);
  for (const workspace of positionals.length > 0 ? positionals : known) console.log(packOne(lock, workspace, out));
};

const packOne = (lock, workspace, out) => {
  const folder = mkdtempSync(join(tmpdir(), 'ztna-pack-'));
  try {
    stagePackage(root, lock, workspace, folder);
    const packed = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', out], { cwd: folder, encoding: 'utf8' });
    if (packed.status !== 0) throw new SetupError(`npm pack failed in ${workspace}: ${packed.error?.message ?? packed.stderr}`);
    const [{ filename, files }] = JSON.parse(packed.stdout);
    // npm has rules of its own about what it leaves out, ignore files of the packages inside among them.
    const packedFiles = new Set(files.map(({ path }) => path));
    const missing = filesUnder(folder).filter((path) => !packedFiles.has(path));
    if (missing.length > 0) throw new SetupError(`npm pack left out of ${filename}: ${missing.join(', ')}`);
    return join(out, filename);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const filesUnder = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join('/'));

try {
  main();
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exitCode = 2;
}
