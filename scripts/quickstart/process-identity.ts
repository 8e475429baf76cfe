// Which process a pid means. Pids are used again, so a pid alone may by now be somebody else's process; its
// start time tells them apart, where the system shows it (/proc on Linux).

import { readFileSync } from 'node:fs';
import { errorCode } from './failure.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process; absent where the system doesn't say. */
  readonly startTicks?: number;
}

/** proc(5), /proc/PID/stat: field 22 is starttime; field 2, the name in brackets, may hold spaces and brackets. */
const START_TIME_AFTER_NAME = 22 - 3;

export const identifyProcess = (pid: number): ProcessIdentity => {
  const startTicks = readStartTicks(pid);
  return startTicks === undefined ? { pid } : { pid, startTicks };
};

const readStartTicks = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME_AFTER_NAME]);
    return Number.isSafeInteger(ticks) ? ticks : undefined;
  } catch {
    return undefined;
  }
};

/** Whether that very process still runs. Where start times are unknown, a process of the same pid counts as it. */
export const isAlive = ({ pid, startTicks }: ProcessIdentity): boolean => {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if (errorCode(error) !== 'EPERM') return false;
  }
  const now = readStartTicks(pid);
  return startTicks === undefined || now === undefined || now === startTicks;
};

/** Whether it runs and there is no doubt that it is the one: only then may it be killed. */
export const isCertainlyAlive = (identity: ProcessIdentity): boolean =>
  identity.startTicks !== undefined && readStartTicks(identity.pid) === identity.startTicks && isAlive(identity);

export const isProcessIdentity = (value: unknown): value is ProcessIdentity => {
  if (typeof value !== 'object' || value === null || !('pid' in value)) return false;
  // A pid of 0 or below means a whole group of processes to kill(2).
  if (!Number.isSafeInteger(value.pid) || (value.pid as number) <= 1) return false;
  return !('startTicks' in value) || Number.isSafeInteger(value.startTicks);
};
