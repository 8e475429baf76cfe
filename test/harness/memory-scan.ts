// Looks for byte strings in the memory of a running process, as its owner's host could. Needs root on Linux.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Which of `needles` occur in the readable memory of process `pid`, by their keys. The process stands still
 * meanwhile, so that nothing slips past between two reads.
 */
export const findInMemory = (pid: number, needles: Readonly<Record<string, Uint8Array>>): Set<string> => {
  const found = new Set<string>();
  const wanted = Object.entries(needles).map(([name, bytes]) => [name, Buffer.from(bytes)] as const);
  const overlap = Math.max(...wanted.map(([, bytes]) => bytes.length)) - 1;
  const chunk = Buffer.alloc(CHUNK_BYTES + overlap);
  process.kill(pid, 'SIGSTOP');
  try {
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    for (const { start, end } of readableRegions(pid)) {
      for (let at = start; at < end; at += CHUNK_BYTES) {
        const length = tryRead(memory, chunk, Math.min(chunk.length, end - at), at);
        const bytes = chunk.subarray(0, length);
        for (const [name, needle] of wanted) if (!found.has(name) && bytes.includes(needle)) found.add(name);
      }
    }
    closeSync(memory);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  chunk.fill(0);
  return found;
};

/** proc(5): `start-end perms …`. */
const readableRegions = (pid: number): { start: number; end: number }[] =>
  readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const match = /^([0-9a-f]+)-([0-9a-f]+) r\S+ .*?(\[v\S+\])?$/.exec(line);
      // [vvar] and [vsyscall] are the kernel's and cannot be read.
      return match && match[3] === undefined ? [{ start: parseInt(match[1]!, 16), end: parseInt(match[2]!, 16) }] : [];
    });

const tryRead = (memory: number, into: Buffer, length: number, at: number): number => {
  try {
    return readSync(memory, into, 0, length, at);
  } catch {
    return 0; // a guard page, or a device's
  }
};
