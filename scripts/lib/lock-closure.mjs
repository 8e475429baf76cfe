// What a workspace needs at run time, read from package-lock.json: its dependencies and theirs, as npm lays
// them out. What is done with the list is sbom.mjs and npm-package.mjs.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const readLock = (root) => JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));

/**
 * Entries of the lock file by their place in it, the workspace itself first.
 *
 * Optional packages that the lock file names without an entry of their own (another platform's, not to be had when
 * the lock file was written) are left out. `optional: false` leaves all optional ones out, unless something needs them.
 *
 * @returns {Map<string, { entry: object, needs: string[] }>} `needs` are places too
 * @throws {Error} when the lock file lacks what something needs
 */
export const closureOf = (lock, workspace, { optional = true } = {}) => {
  const { packages } = lock;
  if (!packages[workspace]) throw new Error(`package-lock.json knows no workspace ${workspace}`);
  const closure = new Map();
  const waiting = [workspace];
  for (let place; (place = waiting.shift()) !== undefined; ) {
    if (closure.has(place)) continue;
    const entry = packages[place];
    const needs = [];
    for (const name of Object.keys({ ...entry.dependencies, ...(optional && entry.optionalDependencies) })) {
      const found = resolvePlace(packages, place, name);
      if (found !== undefined) needs.push(found);
      else if (!(name in (entry.optionalDependencies ?? {}))) throw new Error(`package-lock.json has no ${name}, which ${place} needs; run npm install`);
    }
    closure.set(place, { entry, needs: needs.sort() });
    waiting.push(...needs);
  }
  return closure;
};

/** Whether npm installs an entry on that system. */
export const fitsPlatform = ({ os, cpu, libc }, platform = { os: process.platform, cpu: process.arch, libc: 'glibc' }) =>
  admits(os, platform.os) && admits(cpu, platform.cpu) && (platform.os !== 'linux' || admits(libc, platform.libc));

/** The package's name: of a workspace, or the last part of its place. */
export const nameOf = (place, { name }) => name ?? place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** npm's list of systems: names, or names with a `!` for all others. */
const admits = (list, value) => {
  if (list === undefined) return true;
  const names = [list].flat();
  if (names.includes(`!${value}`)) return false;
  return names.some((name) => name.startsWith('!')) || names.includes(value) || names.includes('any');
};

/** Node's search, upwards from `place`; a link leads to its workspace. */
const resolvePlace = (packages, place, name) => {
  for (let folder = place; ; folder = parentOf(folder)) {
    const candidate = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    const entry = packages[candidate];
    if (entry) return entry.link ? entry.resolved : candidate;
    if (folder === '') return undefined;
  }
};

const parentOf = (folder) => {
  const at = folder.lastIndexOf('/node_modules/');
  return at < 0 ? '' : folder.slice(0, at);
};
