// A bound on the CPU time of one process, through a control group (v1 `cpu`, or v2).

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';

const V1 = '/sys/fs/cgroup/cpu';
const V2 = '/sys/fs/cgroup';
/** Short, so that a worker that has used its share up pauses for less than its socket's buffer holds. */
const PERIOD_US = 10_000;
/**
 * Holds each process to `share` of a processor, which it gets before all others. Returns what lifts it.
 *
 * @throws Error without the right to make control groups
 */
export const limitCpu = (pids: readonly number[], share: number): (() => void) => {
  const isV2 = existsSync(join(V2, 'cgroup.controllers'));
  const quota = Math.round(share * PERIOD_US);
  const groups = pids.map((pid) => {
    const group = join(isV2 ? V2 : V1, `ztna-bench-${pid}`);
    mkdirSync(group);
    if (isV2) writeFileSync(join(group, 'cpu.max'), `${quota} ${PERIOD_US}`);
    else {
      writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(group, 'cpu.cfs_quota_us'), String(quota));
    }
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
    setPriority(pid, -20);
    return group;
  });
  return () => {
    for (const group of groups) {
      const root = join(isV2 ? V2 : V1, 'cgroup.procs');
      for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) writeFileSync(root, pid);
      rmdirSync(group);
    }
  };
};
