// A folder that goes with the test, as often as it is asked for (`testdir` gives one per test).

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

export const scratch = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'validate-secrets-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

/** A file in a folder of its own. */
export const scratchFile = (t: Test, name: string, content: string | Uint8Array): string => {
  const path = join(scratch(t), name);
  writeFileSync(path, content);
  return path;
};
