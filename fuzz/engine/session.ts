// One target from its corpus to its report: replay what is known, search for a while, write down what broke.
// Printing and arguments are main.ts.

import { relative } from 'node:path';
import { seededRandom } from '@ztna/protocol/testing';
import type { FuzzTarget } from '../targets/support/fuzz-target.js';
import { Corpus } from './corpus.js';
import { Fuzzer, type Crash } from './fuzzer.js';
import { Watchdog } from './watchdog.js';

export interface SessionInit {
  readonly name: string;
  /** With its code instrumented. */
  readonly target: FuzzTarget;
  /** The repository's fuzz folder. */
  readonly folder: string;
  /** Where to write what breaks the target. Default: `crashes` in that folder. */
  readonly crashes?: string;
  /** Of searching; the replay comes on top. */
  readonly seconds: number;
  readonly seed: number;
  /** Makes the inputs kept, minimised, the new corpus. Default false: only what broke the target is written. */
  readonly save?: boolean;
}

export interface SessionReport {
  readonly name: string;
  readonly execs: number;
  readonly execsPerSecond: number;
  /** Branches reached. */
  readonly edges: number;
  /** Inputs in memory at the end, each of which reached something new. */
  readonly inputs: number;
  readonly crashes: readonly (Crash & { readonly path: string })[];
}

export const runSession = async ({ name, target, folder, crashes, seconds, seed, save = false }: SessionInit): Promise<SessionReport> => {
  const corpus = new Corpus(folder, name, crashes);
  const hangFile = corpus.crashPath(Buffer.from(`hang ${seed}`));
  const watchdog = new Watchdog({ crashFile: hangFile, message: `${name}: an input does not end\n  ${reproduce(name, hangFile)}` });
  try {
    const fuzzer = new Fuzzer({ target, random: seededRandom(seed), onInput: (input) => watchdog.watch(input) });
    const start = performance.now();
    for (const input of [...target.seeds(), ...corpus.read()]) fuzzer.try(input);
    const end = performance.now() + seconds * 1000;
    fuzzer.search(() => performance.now() >= end);
    const elapsed = (performance.now() - start) / 1000;
    if (save) corpus.replace(fuzzer.minimise());
    return {
      name,
      execs: fuzzer.execs,
      execsPerSecond: fuzzer.execs / elapsed,
      edges: fuzzer.edges,
      inputs: fuzzer.inputs.length,
      crashes: fuzzer.crashes.map((crash) => ({ ...crash, path: corpus.saveCrash(crash.input) })),
    };
  } finally {
    await watchdog.stop();
  }
};

/** The command that runs the input of a crash again. */
export const reproduce = (target: string, path: string): string => `npm run fuzz -- --target ${target} --input ${relative(process.cwd(), path)}`;
