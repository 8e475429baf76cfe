// A copy of the code under test with counters in it: <directory>/node_modules/<package> for every package that
// decodes, and <directory>/targets beside it. Node resolves a target's `@ztna/protocol` to the copy, and what
// is not copied (zod, tap, native code) further up, as always. The originals stay as they are.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MAX_COUNTERS } from './coverage-map.js';
import { instrument } from './instrument.js';

/** What to copy: the folder that holds its code, and where it goes. */
interface CountedPackage {
  readonly from: string;
  readonly to: string;
  /** Folders and files of it that are loaded; the others are left out. */
  readonly code: readonly string[];
}

/** Ours, and the two third-party parsers that bytes of strangers reach. */
const COUNTED = (root: string): readonly CountedPackage[] => [
  { from: join(root, 'protocol'), to: '@ztna/protocol', code: ['dist'] },
  { from: join(root, 'intermediate-server'), to: '@ztna/intermediate-server', code: ['dist'] },
  { from: join(root, 'app-connector'), to: '@ztna/app-connector', code: ['dist'] },
  { from: join(root, 'agent'), to: '@ztna/agent', code: ['dist'] },
  { from: join(root, 'node_modules', 'cbor-x'), to: 'cbor-x', code: ['index.js', 'decode.js', 'encode.js', 'iterators.js'] },
  { from: join(root, 'node_modules', 'yaml'), to: 'yaml', code: ['dist'] },
];

export interface InstrumentedTree {
  /** Where the counted copies of the compiled targets are. */
  readonly targets: string;
  /** Counters in use. */
  readonly counters: number;
}

/**
 * Writes the tree into `directory`, which is emptied first.
 * @param compiled the folder of compiled fuzzing code, whose `targets` are counted too
 * @throws Error when more counters are needed than there are
 */
export const writeInstrumentedTree = (root: string, compiled: string, directory: string): InstrumentedTree => {
  rmSync(directory, { recursive: true, force: true });
  let counters = 0;
  const copyCode = (from: string, to: string): void => {
    for (const file of filesUnder(from)) {
      const target = file === '' ? to : join(to, file);
      mkdirSync(dirname(target), { recursive: true });
      if (!/\.[cm]?js$/.test(join(from, file))) continue;
      const result = instrument(readFileSync(join(from, file), 'utf8'), counters);
      counters += result.counters;
      writeFileSync(target, result.code);
    }
  };
  for (const { from, to, code } of COUNTED(root)) {
    const target = join(directory, 'node_modules', to);
    mkdirSync(target, { recursive: true });
    cpSync(join(from, 'package.json'), join(target, 'package.json'));
    for (const part of code) copyCode(join(from, part), join(target, part));
    // A package's own dependencies, where npm could not hoist them.
    if (isDirectory(join(from, 'node_modules'))) symlinkSync(join(from, 'node_modules'), join(target, 'node_modules'));
  }
  copyCode(join(compiled, 'targets'), join(directory, 'targets'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  if (counters > MAX_COUNTERS) throw new Error(`${counters} counters are needed, and there are ${MAX_COUNTERS}: raise MAX_COUNTERS`);
  return { targets: join(directory, 'targets'), counters };
};

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Relative paths; the empty one for a path that is a file itself. */
const filesUnder = (path: string): string[] => {
  if (!isDirectory(path)) return [''];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(path.length + 1));
};
