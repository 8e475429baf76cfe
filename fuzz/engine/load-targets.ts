// The targets by name: every file right under ../targets is one. Loaded as they are, or from an instrumented copy.

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { FuzzTarget } from '../targets/support/fuzz-target.js';
import { writeInstrumentedTree } from './instrumented-tree.js';

/** fuzz/dist-test, where this runs from. */
const COMPILED = fileURLToPath(new URL('..', import.meta.url));
/** The repository's fuzz folder, with the corpus. */
export const FUZZ_FOLDER = fileURLToPath(new URL('../..', import.meta.url));
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export const targetNames = (): string[] =>
  readdirSync(join(COMPILED, 'targets')).filter((file) => file.endsWith('.js')).map((file) => file.slice(0, -3)).sort();

/** From the code as it is. */
export const loadTarget = (name: string): Promise<FuzzTarget> => importTarget(join(COMPILED, 'targets'), name);

export interface InstrumentedTargets {
  readonly counters: number;
  load(name: string): Promise<FuzzTarget>;
  /** Removes the copy; what is loaded stays loaded. */
  remove(): void;
}

/** From a copy of this process's own, under node_modules, where Node finds the packages that are not copied. */
export const instrumentTargets = (): InstrumentedTargets => {
  const caches = join(ROOT, 'node_modules', '.cache');
  mkdirSync(caches, { recursive: true });
  const directory = mkdtempSync(join(caches, 'ztna-fuzz-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    const { targets, counters } = writeInstrumentedTree(ROOT, COMPILED, directory);
    return { counters, remove, load: (name) => importTarget(targets, name) };
  } catch (error) {
    remove();
    throw error;
  }
};

const importTarget = async (directory: string, name: string): Promise<FuzzTarget> => {
  const module = (await import(pathToFileURL(join(directory, `${name}.js`)).href)) as { target: FuzzTarget };
  return module.target;
};
