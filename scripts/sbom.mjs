// node scripts/sbom.mjs WORKSPACE [--every-platform]: the bill of materials of what WORKSPACE ships, CycloneDX 1.5
// JSON on standard output.

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readLock } from './lib/lock-closure.mjs';
import { createSbom } from './lib/sbom.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const USAGE = 'usage: node scripts/sbom.mjs WORKSPACE [--every-platform]';

try {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { 'every-platform': { type: 'boolean', default: false } } });
  if (positionals.length !== 1) throw new Error(USAGE);
  // Images have glibc; musl's packages are not in them.
  const platform = values['every-platform'] ? undefined : { os: process.platform, cpu: process.arch, libc: 'glibc' };
  process.stdout.write(`${JSON.stringify(createSbom(readLock(root), positionals[0], platform), null, 2)}\n`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
