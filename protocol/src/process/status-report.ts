// What a running process holds right now, as one log line on SIGUSR2: its own counts, memory, and what keeps
// its event loop alive. For an operator who suspects a leak, and for the soak run, which looks for one.

import type { Logger } from '../log/logger.js';

/** Gauges by name, such as `sessions` and `flows`. */
export type StatusCounts = Readonly<Record<string, number>>;

/** SIGUSR1 is Node's, for its debugger (run-program.ts). */
const STATUS_SIGNAL = 'SIGUSR2';

/**
 * From now on each SIGUSR2 logs `status` at info level: `counts`, `memory` in bytes, and `resources`, how many of
 * each kind of handle and timer are active (Node's names, such as `UDPWrap`, `TCPSocketWrap`, `Timeout`).
 *
 * @returns ends it
 */
export const reportStatusOnSignal = (log: Logger, counts: () => StatusCounts): (() => void) => {
  const report = (): void => log.info('status', { counts: counts(), memory: memoryBytes(), resources: activeResources() });
  process.on(STATUS_SIGNAL, report);
  return () => void process.off(STATUS_SIGNAL, report);
};

const memoryBytes = (): StatusCounts => {
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  return { rss, heapUsed, external, arrayBuffers };
};

/** Timers and sockets that were unref'd do not count: they hold nothing open. */
const activeResources = (): StatusCounts => {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
};
