// What every process says about itself: which build it is, since when it runs, CPU, memory, and how well
// its event loop keeps up. The `process_` names are the ones that every Prometheus client library uses.

import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { THROTTLED_LEVELS, type Logger } from '../log/logger.js';
import { allocatorInUse } from '../process/allocator.js';
import { VERSION } from '../software.js';
import { byLabel, single, type MetricFamily } from './metric-family.js';

/** How often the loop's delay is sampled, in ms: 50 wake-ups a second in native code, only while scrapes are served. */
const DELAY_SAMPLE_MS = 20;

export interface ProcessMetrics {
  readonly families: readonly MetricFamily[];
  /** Ends the sampling. */
  stop(): void;
}

/**
 * @param program which of the programs this is, such as `intermediate-server`
 * @param log the process's own, or a child of it
 */
export const processMetrics = (program: string, log: Pick<Logger, 'suppressed' | 'lost'>): ProcessMetrics => {
  const delay = monitorEventLoopDelay({ resolution: DELAY_SAMPLE_MS });
  delay.enable();
  const allocator = allocatorInUse();
  const families: MetricFamily[] = [
    {
      type: 'gauge',
      name: 'ztna_build_info',
      help: 'Always 1; the labels say what runs',
      labels: {
        program: { values: [program], described: 'the program' },
        version: { values: [VERSION], described: 'its version' },
        node: { values: [process.version], described: "Node's version" },
        allocator: { values: ['jemalloc', 'system'], described: 'what memory outside of the JavaScript heap comes from, jemalloc or the system’s' },
      },
      read: (emit) => emit(1, { program, version: VERSION, node: process.version, allocator }),
    },
    single('gauge', 'process_start_time_seconds', 'When the process started, in seconds since the Unix epoch', () => performance.timeOrigin / 1000),
    single('counter', 'process_cpu_seconds_total', 'CPU time used, user and system', processCpuSeconds),
    single('gauge', 'process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss()),
    single('gauge', 'ztna_heap_bytes', 'JavaScript heap in use; a part of the resident memory', () => process.memoryUsage().heapUsed),
    single(
      'counter',
      'ztna_event_loop_active_seconds_total',
      'Time the event loop did not wait; its rate is the utilisation, 1 when saturated',
      () => performance.eventLoopUtilization().active / 1000,
    ),
    {
      type: 'gauge',
      name: 'ztna_event_loop_delay_seconds',
      help: 'How late the event loop ran its timers since the last scrape: median, 99th percentile, worst',
      // Not `quantile`, which is for summaries alone (promtool check metrics).
      labels: { percentile: { values: ['50', '99', '100'] } },
      read: (emit) => {
        emit(secondsLate(delay.percentile(50)), { percentile: '50' });
        emit(secondsLate(delay.percentile(99)), { percentile: '99' });
        emit(secondsLate(delay.max), { percentile: '100' });
        delay.reset();
      },
    },
    byLabel(
      { type: 'counter', name: 'ztna_log_lines_suppressed_total', help: 'Log lines left out because there were too many of their kind, or of all', label: 'level', set: { values: THROTTLED_LEVELS } },
      (level) => log.suppressed[level],
    ),
    single('counter', 'ztna_log_lines_lost_total', 'Log lines given up because standard error took none: its reader is stopped, or the disk is full', () => log.lost),
  ];
  return { families, stop: () => void delay.disable() };
};

/** User and system together. */
export const processCpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** The monitor records the time between two samples, in ns; what is beyond the interval was delay. */
const secondsLate = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - DELAY_SAMPLE_MS / 1000);
