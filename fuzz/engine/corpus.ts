// The inputs of a target as files, named by their content: fuzz/corpus/<target>/<hash>, and what broke it in
// fuzz/crashes. Owns paths, names and the order of reading.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Corpus {
  readonly #target: string;
  readonly #directory: string;
  readonly #crashes: string;

  /** @param folder the repository's fuzz folder */
  constructor(folder: string, target: string) {
    this.#directory = join(folder, 'corpus', target);
    this.#crashes = join(folder, 'crashes');
    this.#target = target;
  }

  /** Every input, in the order of their names. */
  read(): Uint8Array[] {
    if (!existsSync(this.#directory)) return [];
    return readdirSync(this.#directory).sort().map((name) => new Uint8Array(readFileSync(join(this.#directory, name))));
  }

  /** Makes `inputs` the whole corpus. */
  replace(inputs: readonly Uint8Array[]): void {
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

const nameOf = (input: Uint8Array): string => createHash('sha256').update(input).digest('hex').slice(0, 12);
