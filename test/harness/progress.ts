// Watching a transfer from outside: when it has come to a halt, and what it costs in memory.

import type { ManagedProcess } from './managed-process.js';

const SAMPLE_MS = 50;
/** Many round trips of loopback: a transfer that could move would have moved. */
const QUIET_MS = 1_000;
const HALT_TIMEOUT_MS = 60_000;

/** Resolves with the counter's value once it has stood still for a second. */
export const whenHalted = (read: () => number): Promise<number> =>
  new Promise((resolve, reject) => {
    const started = performance.now();
    let value = read();
    let since = started;
    const timer = setInterval(() => {
      const now = performance.now();
      const next = read();
      if (next !== value) [value, since] = [next, now];
      if (value > 0 && now - since >= QUIET_MS) settle(() => resolve(value));
      else if (now - started > HALT_TIMEOUT_MS) settle(() => reject(new Error(`no halt within ${HALT_TIMEOUT_MS} ms; at ${value}`)));
    }, SAMPLE_MS);
    const settle = (end: () => void): void => {
      clearInterval(timer);
      end();
    };
  });

/** Samples the resident memory of processes until stopped. */
export class MemoryWatch {
  readonly #start = new Map<string, number>();
  readonly #peak = new Map<string, number>();
  readonly #processes: Readonly<Record<string, ManagedProcess>>;
  readonly #timer: NodeJS.Timeout;

  /** Growth counts from now on. */
  constructor(processes: Readonly<Record<string, ManagedProcess>>) {
    this.#processes = processes;
    for (const [name, process] of Object.entries(processes)) this.#start.set(name, process.rssBytes());
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** Largest growth so far of each process, in bytes. */
  growth(): ReadonlyMap<string, number> {
    this.#sample();
    return new Map([...this.#peak].map(([name, peak]) => [name, peak - this.#start.get(name)!]));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    for (const [name, process] of Object.entries(this.#processes)) {
      if (!process.hasExited) this.#peak.set(name, Math.max(this.#peak.get(name) ?? 0, process.rssBytes()));
    }
  }
}
