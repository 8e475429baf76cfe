#!/usr/bin/env node
// What npm links as ztna-agent. npm links at install time and only what exists by then, so this file is not compiled.

import { existsSync } from 'node:fs';

const complain = (problem) => {
  process.stderr.write(`ztna-agent: ${problem}\n`);
  process.exitCode = 2;
};

const program = new URL('../dist/main.js', import.meta.url);
if (existsSync(program)) {
  await import(program.href).catch((error) => {
    // QUIC's native package is optional to npm, which leaves out without a word what is for another system or was not wanted.
    if (!String(error?.message).startsWith('Failed requiring possible native bindings')) throw error;
    complain(
      `the QUIC library for ${process.platform} ${process.arch} is not installed. There is one for Linux x64 with glibc, macOS and Windows x64: if that is what this is, install again without --omit=optional and look at what npm says`,
    );
  });
} else complain('not compiled yet; run this in the repository first: npm run build');
