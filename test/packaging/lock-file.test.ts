// package-lock.json is whole: npm refuses one (`npm ci`: "not in sync") that lacks a package for another system, as soon as the registry has
// it, and a system whose package it lacks could not run anything.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../harness/lab.js';

interface Locked {
  readonly version?: string;
  readonly link?: boolean;
  readonly integrity?: string;
  readonly os?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Readonly<Record<string, Locked>> };

/** Where Node would find it from `place`: in its own node_modules or those of a folder above. */
const isFoundFrom = (place: string, name: string): boolean => {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
};

void t.test('every package that one asks for is in the lock file, for whichever system', async (t) => {
  const missing = Object.entries(packages).flatMap(([place, { dependencies = {}, optionalDependencies = {} }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !isFoundFrom(place, name)).map((name) => `${name}, of ${place}`));
  t.strictSame(missing, []);
});

void t.test('QUIC is locked for Linux, macOS and Windows', async (t) => {
  const systems = Object.entries(packages).filter(([place]) => place.startsWith('node_modules/@matrixai/quic-')).flatMap(([, { os = [] }]) => os);
  t.strictSame([...new Set(systems)].sort(), ['darwin', 'linux', 'win32']);
});

void t.test('every package has its hash, but for QUIC on systems it could not be looked up for (docs/dependencies.md)', async (t) => {
  const without = Object.entries(packages).filter(([place, { link, integrity }]) => place.includes('node_modules/') && link !== true && integrity === undefined).map(([place]) => place);
  const known = without.filter((place) => /^node_modules\/@matrixai\/quic-(darwin|win32)-/.test(place));
  t.strictSame(without, known);
  const page = readFileSync(join(ROOT, 'docs', 'dependencies.md'), 'utf8');
  for (const place of known) t.ok(page.includes(place.slice('node_modules/@matrixai/'.length)), place);
});
