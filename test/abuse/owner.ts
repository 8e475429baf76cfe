// What a lab needs of a test, for a program: temporary folders, and things to end in reverse order. The folders go last.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabOwner } from '../harness/lab.js';

export class Owner implements LabOwner {
  readonly #ends: (() => unknown)[] = [];

  testdir(): string {
    const directory = mkdtempSync(join(tmpdir(), 'ztna-abuse-'));
    this.#ends.unshift(() => rmSync(directory, { recursive: true, force: true }));
    return directory;
  }

  teardown(end: () => unknown): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (let end; (end = this.#ends.pop()); ) await end();
  }
}
