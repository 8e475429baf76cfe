// The tarball of one program, for `npm install --global`: whole by itself, so that an installation runs the very
// code that was tested. What it needs lies inside, at dist/node_modules, where Node looks first and npm does not; from the registry
// come only native packages for the installing system, by exact version, and never anything of our scope, which
// there may be anybody's.
//
// npm's own means fail: 11 loses dependencies of bundled packages (bundleDependencies), and none reads the
// npm-shrinkwrap.json of a tarball that does not come from a registry.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { closureOf } from './lock-closure.mjs';

const PROTOCOL = 'protocol';
/** Of a package, what does not run and is not its licence. */
const IDLE = /\.(?:d\.[cm]?ts|[cm]?ts|map|tsbuildinfo)$|^(?:test|tests|bench|benchmarks?|examples?|docs|\.github|\.bin)$|^\.(?:npmignore|gitignore)$/;
/** Optional, and never loaded (docs/dependencies.md). */
const UNUSED = new Set(['cbor-extract']);

/**
 * Lays the package of a workspace out in an empty folder, for `npm pack` there.
 *
 * @param {string} root the repository, built, with node_modules as package-lock.json has them
 * @returns {object} its package.json
 */
export const stagePackage = (root, lock, workspace, folder) => {
  const closure = closureOf(lock, workspace, { optional: false });
  const inside = join(folder, 'dist', 'node_modules');
  copyRunning(join(root, workspace, 'dist'), join(folder, 'dist'));
  cpSync(join(root, workspace, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const protocol = readManifest(join(root, PROTOCOL));
  copyRunning(join(root, PROTOCOL, 'dist'), join(inside, protocol.name, 'dist'), new Set(['testing']));
  writeJson(join(inside, protocol.name, 'package.json'), protocolManifest(protocol));
  for (const place of closure.keys()) if (place.startsWith('node_modules/')) copyRunning(join(root, place), join(folder, 'dist', place), new Set(['node_modules']));
  const manifest = packedManifest(readManifest(join(root, workspace)), closure, lock);
  writeFileSync(join(folder, 'README.md'), readme(manifest));
  writeJson(join(folder, 'package.json'), manifest);
  return manifest;
};

const packedManifest = ({ private: _private, dependencies: _dependencies, devDependencies: _dev, ...published }, closure, lock) => {
  const native = Object.assign({}, ...[...closure.values()].map(({ entry }) => entry.optionalDependencies));
  const names = Object.keys(native).filter((name) => !UNUSED.has(name)).sort();
  const exact = (name) => {
    // A package for another system is not in the lock file, but then whoever needs it names one version.
    const version = lock.packages[`node_modules/${name}`]?.version ?? native[name];
    if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`package-lock.json names no exact version of ${name}: ${version}`);
    return version;
  };
  return { ...published, exports: withoutTypes(published.exports), optionalDependencies: Object.fromEntries(names.map((name) => [name, exact(name)])) };
};

const protocolManifest = ({ name, version, license, type, engines, exports }) => ({ name, version, license, type, engines, exports: withoutTypes(exports) });

/** Declarations are not shipped, nor is what tests import. */
const withoutTypes = (exports) =>
  Object.fromEntries(Object.entries(exports).filter(([entry]) => entry !== './testing').map(([entry, target]) => [entry, { import: target.import }]));

const copyRunning = (from, to, except = new Set()) => {
  mkdirSync(to, { recursive: true });
  cpSync(from, to, { recursive: true, filter: (path) => path === from || (!IDLE.test(basename(path)) && !except.has(path.slice(from.length + 1))) });
};

const readme = ({ name, description, bin }) => `# ${name}

${description}.

Installs \`${Object.keys(bin).join('`, `')}\`; Node 20 or later. \`${Object.keys(bin)[0]} --help\` lists its commands.
Under \`dist/node_modules\` lie the packages it needs, each with its own licence.
`;

const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
