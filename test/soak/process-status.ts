// What a process holds, from inside (its `status` line on SIGUSR2) and from outside (/proc).

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ManagedProcess } from '../harness/managed-process.js';

export interface ProcessStatus {
  /** The process's own gauges. */
  readonly counts: Readonly<Record<string, number>>;
  /** Active handles and timers by Node's names. */
  readonly resources: Readonly<Record<string, number>>;
  /** Open sockets, from /proc. */
  readonly sockets: number;
}

export const readStatus = async (process: ManagedProcess): Promise<ProcessStatus> => {
  const answer = process.waitForNext(({ event }) => event === 'status', 'status');
  process.child.kill('SIGUSR2');
  const { counts, resources } = (await answer) as unknown as Pick<ProcessStatus, 'counts' | 'resources'>;
  return { counts, resources, sockets: countSockets(process.pid) };
};

const countSockets = (pid: number): number => {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((fd) => {
    try {
      return readlinkSync(join(directory, fd)).startsWith('socket:');
    } catch {
      return false; // closed meanwhile
    }
  }).length;
};
