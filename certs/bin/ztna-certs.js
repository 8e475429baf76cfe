#!/usr/bin/env node
// What npm links as ztna-certs. npm links at install time and only what exists by then, so this file is not compiled.

import { existsSync } from 'node:fs';

const program = new URL('../dist/main.js', import.meta.url);
if (existsSync(program)) await import(program.href);
else {
  process.stderr.write('ztna-certs: not compiled yet; run this in the repository first: npm run build\n');
  process.exitCode = 2;
}
