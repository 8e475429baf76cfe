// Notices that files changed, by looking at them: works for renames, for the symlink swaps of
// Kubernetes secrets, and on any file system, where change notifications each miss one of these.

import { statSync, type BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** A revocation must take effect within a second; a handful of stat calls a second cost nothing. */
export const WATCH_INTERVAL_MS = 250;

export class WatchedFiles {
  readonly #onChange: (changedAt: number) => void;
  readonly #intervalMs: number;
  #paths: readonly string[];
  #seen = new Map<string, string>();
  #lookedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param onChange called after a look that found at least one file changed, added or gone since the look before;
   *   `changedAt` is when, in ms since the Unix epoch, as near as the file system and the last look tell
   */
  constructor(paths: readonly string[], onChange: (changedAt: number) => void, intervalMs = WATCH_INTERVAL_MS) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#intervalMs = intervalMs;
  }

  /** Remembers how the files are now, then watches. Does not keep the process alive. */
  async start(): Promise<void> {
    this.#lookedAt = Date.now();
    this.#seen = await fingerprints(this.#paths);
    this.#arm();
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

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#look(), this.#intervalMs).unref();
  }

  async #look(): Promise<void> {
    const lookedAt = Date.now();
    const paths = this.#paths;
    const now = await fingerprints(paths);
    if (this.#stopped) return;
    const changed = paths.filter((path) => this.#seen.has(path) && this.#seen.get(path) !== now.get(path));
    const before = this.#lookedAt;
    // Paths that came while looking start from when they came.
    for (const path of this.#paths) if (!now.has(path) && this.#seen.has(path)) now.set(path, this.#seen.get(path)!);
    this.#seen = now;
    this.#lookedAt = lookedAt;
    this.#arm();
    if (changed.length === 0) return;
    // A swapped symlink may lead to a file that is older than the swap, or a wrong clock to one from the future.
    const at = Math.max(...changed.map((path) => changeTime(now.get(path)!)));
    this.#onChange(Math.min(Math.max(at, before), Date.now()));
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
