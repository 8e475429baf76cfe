// What CPU time a process has used, on Linux.

import { readdirSync, readFileSync } from 'node:fs';

/** CPU time of all its threads so far, µs. From the scheduler, in ns there; 10 ms ticks would be too coarse. */
export const cpuMicroseconds = (pid: number): number => {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // a thread that has just ended
    }
  }
  return nanoseconds / 1000;
};
