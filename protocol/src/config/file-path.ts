// Paths inside a configuration file are relative to that file, not to where the process was started.
// Owns that rule; reading the files is bounded-file.ts and secret-file.ts.

import { resolve } from 'node:path';
import { z } from 'zod';

/** The directory that `filePath` resolves against; parsing is synchronous, so no two files share a turn. */
let baseDirectory: string | undefined;

/** Runs a synchronous parse with `filePath` resolving against `directory`; nests. */
export const withBaseDirectory = <T>(directory: string, parse: () => T): T => {
  const outer = baseDirectory;
  baseDirectory = directory;
  try {
    return parse();
  } finally {
    baseDirectory = outer;
  }
};

const RULE = 'must be the path of a file, relative to this file or absolute';

/** A path → the absolute path. Existence is not checked. Outside `loadConfig`, relative to the working directory. */
export const filePath = z.string({ error: RULE }).transform((text, context) => {
  // `~` is the shell's: here it would silently name a directory of that name.
  const problem = text === '' || text.includes('\0') ? RULE : text.startsWith('~') ? 'must not start with ~, which only a shell expands' : undefined;
  if (problem === undefined) return resolve(baseDirectory ?? process.cwd(), text);
  context.addIssue({ code: 'custom', message: problem });
  return z.NEVER;
});
