// Resident memory of every process of a run, once a second. Bounded means: no process is ever above MAX_RSS_BYTES, and
// those that are warm in the first third of the run, and live on, end it at most MAX_GROWTH_BYTES above what they had then.

import type { ManagedProcess } from '../harness/managed-process.js';

const MIB = 2 ** 20;
/** A fresh process has 70 to 90 MiB, and flows whose reader stalls hold up to 2 MiB each. */
export const MAX_RSS_BYTES = 384 * MIB;
/** The collector's slack: a heap that was just collected, against one about to be. A leak of 1 KiB per flow would be past it in a long run. */
export const MAX_GROWTH_BYTES = 40 * MIB;
const SAMPLE_MS = 1_000;
/** The reference is the largest value in this part of the churn, the end the smallest of the last samples. */
const REFERENCE_FROM = 0.3;
const REFERENCE_TO = 0.45;
const LAST_SAMPLES = 5;
/** A process that was started anew takes 50 MiB more while its code is compiled and its first flows run: no reference before that. */
const WARM_UP_MS = 15_000;

interface Series {
  readonly name: string;
  readonly process: ManagedProcess;
  readonly warmAt: number;
  peak: number;
  /** undefined: not alive and warm in the reference's time. */
  reference: number | undefined;
  last: number[];
}

export class MemoryWatch {
  readonly #series: Series[] = [];
  readonly #churnMs: number;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(churnMs: number) {
    this.#churnMs = churnMs;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  add(name: string, process: ManagedProcess): void {
    this.#series.push({ name, process, warmAt: performance.now() + WARM_UP_MS, peak: 0, reference: undefined, last: [] });
  }

  /** Memory now of the processes that run, MiB. */
  now(): Record<string, number> {
    return Object.fromEntries(this.#alive().map(({ name, process }) => [name, Math.round(process.rssBytes() / MIB)]));
  }

  stop(): void {
    this.#sample();
    clearInterval(this.#timer);
  }

  /** What broke a bound, one line each. */
  faults(): string[] {
    return this.#series.flatMap(({ name, peak, reference, last }) => {
      const growth = reference === undefined ? 0 : Math.min(...last) - reference;
      return [
        ...(peak > MAX_RSS_BYTES ? [`${name}: ${mib(peak)} MiB resident, at most ${mib(MAX_RSS_BYTES)} are allowed`] : []),
        ...(growth > MAX_GROWTH_BYTES ? [`${name}: grew by ${mib(growth)} MiB since the first third, at most ${mib(MAX_GROWTH_BYTES)} are allowed`] : []),
      ];
    });
  }

  /** Growth since the first third of those that were there, MiB. */
  growth(): Record<string, number> {
    return Object.fromEntries(this.#alive().flatMap(({ name, reference, last }) => (reference === undefined ? [] : [[name, mib(Math.min(...last) - reference)]])));
  }

  #alive(): Series[] {
    return this.#series.filter(({ process }) => !process.hasExited);
  }

  #sample(): void {
    const now = performance.now();
    const share = (now - this.#started) / this.#churnMs;
    for (const series of this.#alive()) {
      const rss = rssOf(series.process);
      if (rss === undefined) continue;
      series.peak = Math.max(series.peak, rss);
      if (now >= series.warmAt && share >= REFERENCE_FROM && share <= REFERENCE_TO) series.reference = Math.max(series.reference ?? 0, rss);
      series.last = [...series.last.slice(1 - LAST_SAMPLES), rss];
    }
  }
}

const mib = (bytes: number): number => Math.round(bytes / MIB);

/** A process may end between two looks at it. */
const rssOf = (process: ManagedProcess): number | undefined => {
  try {
    return process.rssBytes();
  } catch {
    return undefined;
  }
};
