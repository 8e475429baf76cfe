// What a run was measured on, in a few words.

import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { libraryToPreload } from '@ztna/protocol';

const GIB = 1024 ** 3;

/** @param load the load average when the run began */
export const describeMachine = (load: number): string => {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} × ${model}, ${Math.round(totalmem() / GIB)} GiB, ${process.platform} ${/^[\d.]*\d/.exec(release())?.[0] ?? ''}, Node ${process.versions.node}, ztna with ${ztnaAllocator()}, load average ${load.toFixed(1)} at the start`;
};

/** What the programs take here: they start as anybody's do. */
const ztnaAllocator = (): string => (libraryToPreload({ hasChannel: false }) === undefined ? "the system's allocator" : 'jemalloc');

/** Over the last minute. */
export const currentLoad = (): number => loadavg()[0]!;
