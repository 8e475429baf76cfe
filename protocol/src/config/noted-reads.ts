// Which files a piece of work tried to read: whatever is wrong with what it made of them, a change of one of these can mend
// it. So the list of what to watch is made by reading, and none can be forgotten.

import { resolve } from 'node:path';

/** Loading is synchronous, so no two pieces of work share a turn. */
let notes: Set<string> | undefined;

/** For whoever reads files (bounded-file.ts). */
export const noteRead = (path: string): void => void notes?.add(resolve(path));

/** Runs `read` and adds to `files` the absolute paths of what it tried to read, also when it throws. Synchronous; nests. */
export const notingReads = <T>(files: Set<string>, read: () => T): T => {
  const outer = notes;
  notes = new Set();
  try {
    return read();
  } finally {
    for (const path of notes) {
      files.add(path);
      outer?.add(path);
    }
    notes = outer;
  }
};

/** What `read` returns, and the files it read, in that order. */
export const withFiles = <T extends object>(read: () => T): T & { readonly files: readonly string[] } => {
  const files = new Set<string>();
  const result = notingReads(files, read);
  return { ...result, files: [...files] };
};
