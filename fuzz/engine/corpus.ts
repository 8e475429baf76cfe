// The inputs of a target as files, named by their content: fuzz/corpus/<target>/<hash> for what reaches every
// branch known, fuzz/regressions/<target>/<hash> for what broke it once and is never removed, and fuzz/crashes
// for what breaks it now. Owns paths, names and the order of reading.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** For each target: with some 30 of them a clone stays below half a MiB. */
export const MAX_CORPUS_BYTES = 16 * 1024;

export class Corpus {
  readonly #target: string;
  readonly #directory: string;
  readonly #regressions: string;
  readonly #crashes: string;

  /** @param folder the repository's fuzz folder */
  constructor(folder: string, target: string, crashes = join(folder, 'crashes')) {
    this.#directory = join(folder, 'corpus', target);
    this.#regressions = join(folder, 'regressions', target);
    this.#crashes = crashes;
    this.#target = target;
  }

  /** Every input, regressions first, in the order of their names. */
  read(): Uint8Array[] {
    return [...readAll(this.#regressions), ...readAll(this.#directory)];
  }

  /** Makes `inputs` the corpus, as many from the first on as fit MAX_CORPUS_BYTES; regressions stay. */
  replace(inputs: readonly Uint8Array[]): void {
    let total = 0;
    this.#write(inputs.filter(({ length }) => (total += length) <= MAX_CORPUS_BYTES));
  }

  #write(inputs: readonly Uint8Array[]): void {
    mkdirSync(this.#directory, { recursive: true });
    const kept = new Set(inputs.map(nameOf));
    for (const name of readdirSync(this.#directory)) if (!kept.has(name)) rmSync(join(this.#directory, name));
    for (const input of inputs) writeFileSync(join(this.#directory, nameOf(input)), input);
  }

  /** Keeps an input that broke the target, and returns its path. */
  saveCrash(input: Uint8Array): string {
    mkdirSync(this.#crashes, { recursive: true });
    const path = this.crashPath(input);
    writeFileSync(path, input);
    return path;
  }

  crashPath(input: Uint8Array): string {
    return join(this.#crashes, `${this.#target}-${nameOf(input)}`);
  }
}

const readAll = (directory: string): Uint8Array[] =>
  existsSync(directory) ? readdirSync(directory).sort().map((name) => new Uint8Array(readFileSync(join(directory, name)))) : [];

const nameOf = (input: Uint8Array): string => createHash('sha256').update(input).digest('hex').slice(0, 12);
