// What a run was measured on, in a few words.

import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

const GIB = 1024 ** 3;

/** @param load the load average when the run began */
export const describeMachine = (load: number): string => {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} × ${model}, ${Math.round(totalmem() / GIB)} GiB, ${process.platform} ${/^[\d.]*\d/.exec(release())?.[0] ?? ''}, Node ${process.versions.node}, load average ${load.toFixed(1)} at the start`;
};

/** Over the last minute. */
export const currentLoad = (): number => loadavg()[0]!;
