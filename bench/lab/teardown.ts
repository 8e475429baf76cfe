// What has to end when a benchmark does, in reverse order of its beginning, whatever became of it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Program } from './program.js';

export class Teardown {
  readonly #ends: (() => unknown)[] = [];
  #over = false;

  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** A program that ends with the rest. @throws Error when the rest has ended already: the benchmark was interrupted */
  keep(start: () => Program): Program {
    if (this.#over) throw new Error('interrupted');
    const program = start();
    this.add(() => program.stop());
    return program;
  }

  /** An empty folder, owner only. */
  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'ztna-bench-'));
    const remove = (): void => rmSync(directory, { recursive: true, force: true });
    process.once('exit', remove);
    this.add(() => {
      process.off('exit', remove);
      remove();
    });
    return directory;
  }

  /** For things that end before the rest. */
  child(): Teardown {
    const child = new Teardown();
    this.add(() => child.end());
    return child;
  }

  async end(): Promise<void> {
    this.#over = true;
    for (let end; (end = this.#ends.pop()); ) await end();
  }
}
