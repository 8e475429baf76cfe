// Plaintext nobody could mistake for anything else, and whether a test may look for it everywhere.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';

/** 64 printable bytes, new in each run, so that no older run's memory or files can answer for it. */
export const createMarker = (name: string): Buffer => {
  const head = `<<${name}:`;
  return Buffer.from(head + randomBytes(32).toString('hex').slice(0, 62 - head.length) + '>>');
};

/** `bytes` of markers, one after the other. */
export const repeatMarker = (marker: Buffer, bytes: number): Buffer => Buffer.alloc(bytes, marker);

/** Every piece of 16 bytes of the marker: no cut between packets can hide all of them. */
export const piecesOf = (marker: Buffer): Buffer[] => Array.from({ length: marker.length / 16 }, (_, i) => marker.subarray(i * 16, i * 16 + 16));

/** True when the test may look into other processes and at the network; otherwise it is skipped, or fails with ZTNA_REQUIRE_TOOLS=1. */
export const mayPeek = (t: Test, tools: readonly string[] = []): boolean => {
  const missing = [
    ...(process.platform === 'linux' && process.getuid?.() === 0 ? [] : ['root on Linux']),
    ...tools.filter((tool) => spawnSync(tool, ['--version']).error !== undefined),
  ];
  if (missing.length === 0) return true;
  const note = `needs ${missing.join(' and ')}`;
  if (process.env['ZTNA_REQUIRE_TOOLS'] === '1') t.fail(`${note}, and ZTNA_REQUIRE_TOOLS=1`);
  else t.plan(0, note);
  return false;
};
