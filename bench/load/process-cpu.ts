// CPU time of another process, from /proc: user and system, in microseconds.

import { readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;
/** Fields 14 and 15 of /proc/PID/stat; the first two are gone with the name in parentheses. */
const USER_FIELD = 11;
const SYSTEM_FIELD = 12;

export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

export const processCpu = (pid: number): CpuTime => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[USER_FIELD]) * MICROSECONDS_PER_TICK, system: Number(fields[SYSTEM_FIELD]) * MICROSECONDS_PER_TICK };
};
