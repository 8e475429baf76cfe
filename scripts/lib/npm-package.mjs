// The tarball of one program, for `npm install --global`: whole by itself, so that installing it asks the registry
// only for what package-lock.json names, and never for a package of our scope, which there may be anybody's.
//
// @ztna/protocol lies inside, at dist/node_modules, where Node looks first and npm does not: npm 11 loses dependencies
// of bundled packages (bundleDependencies). Direct dependencies are pinned to the lock file's versions. Programs for
// servers also carry all of it as npm-shrinkwrap.json, hashes included, which npm holds the installation to.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closureOf, nameOf } from './lock-closure.mjs';

const PROTOCOL = '@ztna/protocol';
/** Of what was compiled, only what runs. */
const RUNS = /\.(?:js|json)$/;
/** People run the agent on systems whose native packages a lock file written on Linux may lack; a shrinkwrap would keep them out. */
const WITHOUT_SHRINKWRAP = new Set(['agent']);

/**
 * Lays the package of a workspace out in an empty folder, for `npm pack` there.
 *
 * @param {string} root the repository, built
 * @returns {{ name: string, version: string }}
 */
export const stagePackage = (root, lock, workspace, folder) => {
  const manifest = readManifest(join(root, workspace));
  const protocol = readManifest(join(root, 'protocol'));
  const closure = closureOf(lock, workspace);
  const staged = packedManifest(manifest, protocol, closure, workspace);
  const inside = join(folder, 'dist', 'node_modules', PROTOCOL);
  copyCompiled(join(root, workspace, 'dist'), join(folder, 'dist'));
  copyCompiled(join(root, 'protocol', 'dist'), join(inside, 'dist'));
  cpSync(join(root, workspace, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const { name, version, license, type, engines, exports } = protocol;
  writeJson(join(inside, 'package.json'), { name, version, license, type, engines, exports: withoutTypes(exports) });
  writeFileSync(join(folder, 'README.md'), readme(staged));
  writeJson(join(folder, 'package.json'), staged);
  if (staged.files.includes(SHRINKWRAP)) writeJson(join(folder, SHRINKWRAP), shrinkwrapOf(staged, closure));
  return staged;
};

const SHRINKWRAP = 'npm-shrinkwrap.json';

const packedManifest = (manifest, protocol, closure, workspace) => {
  const { private: _private, devDependencies: _dev, ...published } = manifest;
  const pinned = (dependencies) => Object.fromEntries(Object.keys(dependencies).sort().map((name) => [name, lockedVersion(closure, name)]));
  const { [PROTOCOL]: _protocol, ...dependencies } = { ...protocol.dependencies, ...manifest.dependencies };
  return {
    ...published,
    exports: withoutTypes(manifest.exports),
    files: [...manifest.files, ...(WITHOUT_SHRINKWRAP.has(workspace) ? [] : [SHRINKWRAP])],
    dependencies: pinned(dependencies),
    optionalDependencies: pinned({ ...protocol.optionalDependencies, ...manifest.optionalDependencies }),
  };
};

/** @throws {Error} for a version that lies elsewhere than at the top: the staged package has no such place */
const lockedVersion = (closure, name) => {
  const found = closure.get(`node_modules/${name}`);
  if (!found) throw new Error(`package-lock.json does not have ${name} at the top of node_modules`);
  return found.entry.version;
};

const shrinkwrapOf = ({ name, version, license, bin, engines, dependencies, optionalDependencies }, closure) => {
  const places = [...closure].filter(([place]) => place.startsWith('node_modules/')).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [place, { entry }] of places) if (!entry.integrity) throw new Error(`package-lock.json has no hash of ${nameOf(place, entry)}`);
  const packages = Object.fromEntries(places.map(([place, { entry: { dev: _dev, ...entry } }]) => [place, entry]));
  return { name, version, lockfileVersion: 3, requires: true, packages: { '': { name, version, license, bin, engines, dependencies, optionalDependencies }, ...packages } };
};

/** Declarations are not shipped, nor is what tests import. */
const withoutTypes = (exports) => ({ '.': { import: exports['.'].import } });

const copyCompiled = (from, to) => {
  mkdirSync(to, { recursive: true });
  cpSync(from, to, { recursive: true, filter: (path) => !/[\\/]dist[\\/]testing$/.test(path) && (RUNS.test(path) || !/\.[a-z]+$/.test(path)) });
};

const readme = ({ name, description, bin }) => `# ${name}

${description}.

Installs \`${Object.keys(bin).join('`, `')}\`; Node 20 or later. \`${Object.keys(bin)[0]} --help\` lists its commands.
`;

const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
