// Notices that files changed, by looking at them: works for renames, for the symlink swaps of
// Kubernetes secrets, and on any file system, where change notifications each miss one of these. A change counts once
// it has settled: half a list of rules is a valid list of fewer rules, so a file still being written must not be read.

import { statSync, type BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** A revocation must take effect within a second; a handful of stat calls a second cost nothing. */
export const WATCH_INTERVAL_MS = 250;
/** Between a look that found a change and the next: longer than a writer pauses, and than a tick of the file system's clock. */
export const WATCH_SETTLE_MS = 50;
/** Files that are different at every look are taken as they are then: 250 ms + 8 × 50 ms leave room in a second. */
const MAX_UNSETTLED_LOOKS = 8;

export interface WatchTimes {
  /** Default WATCH_INTERVAL_MS. */
  readonly intervalMs?: number;
  /** Default WATCH_SETTLE_MS. */
  readonly settleMs?: number;
}

interface Unsettled {
  readonly files: ReadonlyMap<string, string>;
  readonly looks: number;
}

export class WatchedFiles {
  readonly #onChange: (changedAt: number) => void;
  readonly #intervalMs: number;
  readonly #settleMs: number;
  #paths: readonly string[];
  #seen = new Map<string, string>();
  /** The last look that found nothing changed. */
  #lookedAt = 0;
  /** What the last look found, if that was a change that was not told yet. */
  #unsettled: Unsettled | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param onChange called once at least one file changed, was added or is gone, and two looks in a row found the same;
   *   `changedAt` is when, in ms since the Unix epoch, as near as the file system and the looks tell
   */
  constructor(paths: readonly string[], onChange: (changedAt: number) => void, { intervalMs = WATCH_INTERVAL_MS, settleMs = WATCH_SETTLE_MS }: WatchTimes = {}) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#intervalMs = intervalMs;
    this.#settleMs = settleMs;
  }

  /** Remembers how the files are now, then watches. Does not keep the process alive. */
  async start(): Promise<void> {
    this.#lookedAt = Date.now();
    this.#seen = await fingerprints(this.#paths);
    this.#arm(this.#intervalMs);
  }

  /** Watches other files from now on; those that are new to it start from how they are now. */
  setPaths(paths: readonly string[]): void {
    this.#paths = paths;
    for (const path of paths) if (!this.#seen.has(path)) this.#seen.set(path, fingerprintNow(path));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    const lookedAt = Date.now();
    const paths = this.#paths;
    const now = await fingerprints(paths);
    if (this.#stopped) return;
    const changed = paths.filter((path) => this.#seen.has(path) && this.#seen.get(path) !== now.get(path));
    // Paths that came while looking start from when they came.
    for (const path of this.#paths) if (!now.has(path) && this.#seen.has(path)) now.set(path, this.#seen.get(path)!);
    if (changed.length > 0 && !this.#isSettled(now)) return this.#arm(this.#settleMs);
    const before = this.#lookedAt;
    this.#seen = now;
    this.#lookedAt = lookedAt;
    this.#unsettled = undefined;
    this.#arm(this.#intervalMs);
    if (changed.length === 0) return;
    // A swapped symlink may lead to a file that is older than the swap, or a wrong clock to one from the future.
    const at = Math.max(...changed.map((path) => changeTime(now.get(path)!)));
    this.#onChange(Math.min(Math.max(at, before), Date.now()));
  }

  #isSettled(now: ReadonlyMap<string, string>): boolean {
    const { files, looks = 0 } = this.#unsettled ?? {};
    this.#unsettled = { files: now, looks: looks + 1 };
    return looks >= MAX_UNSETTLED_LOOKS || (files !== undefined && [...now].every(([path, found]) => files.get(path) === found));
  }
}

const fingerprints = async (paths: readonly string[]): Promise<Map<string, string>> =>
  new Map(await Promise.all(paths.map(async (path): Promise<[string, string]> => [path, await fingerprint(path)])));

/** Follows symlinks. Inode and change time tell a file replaced by one of the same size and date. */
const fingerprint = async (path: string): Promise<string> => {
  try {
    return describe(await stat(path, { bigint: true }));
  } catch (error) {
    return describeFault(error);
  }
};

/** Out of a fingerprint, in ms since the Unix epoch; 0 for a file that cannot be read. */
const changeTime = (fingerprint: string): number => Number(fingerprint.split(' ')[3] ?? 0) / 1e6;
const fingerprintNow = (path: string): string => {
  try {
    return describe(statSync(path, { bigint: true }));
  } catch (error) {
    return describeFault(error);
  }
};

const describe = ({ dev, ino, size, ctimeNs, mtimeNs }: BigIntStats): string => [dev, ino, size, ctimeNs, mtimeNs].join(' ');

const describeFault = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unreadable';
