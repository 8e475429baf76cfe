// Live reload: on SIGHUP, and when a file that the process was started from changes. A set of files that does not load
// is refused and reported, as a whole but for what is urgent; the process goes on with what it has. What a reload changes is
// the process's own.

import { performance } from 'node:perf_hooks';
import type { TlsMaterial } from '../config/tls-material.js';
import { notingReads } from '../config/noted-reads.js';
import { WatchedFiles } from '../config/watched-files.js';
import { ZtnaError } from '../errors.js';
import { formatIdentity } from '../identity.js';
import type { Logger } from '../log/logger.js';

/**
 * A certificate and its key are two files, and a file that is rewritten is empty for a moment: a set that does not load
 * after a change is looked at once more, this much later, before anybody hears of it.
 */
export const HALF_WRITTEN_MS = 500;

/** What a process reads at its start. */
export interface ReloadableSettings {
  readonly tls: TlsMaterial;
  /** Every file that was read: what to watch. */
  readonly files: readonly string[];
}

export interface LiveReloadInit<S extends ReloadableSettings> {
  /** Reads everything anew. @throws ZtnaError for a set of files with a fault */
  readonly load: () => S;
  /**
   * Of a set that does not load, what must not wait until it does: the settings in force with that in it, or undefined when it is
   * in force already. Default: nothing. @throws ZtnaError when it does not load either
   */
  readonly loadUrgent?: (inForce: S) => S | undefined;
  /** As read at the start. */
  readonly settings: S;
  /** Keys that changed and take effect at the next start only. */
  readonly needsRestart: (before: S, after: S) => readonly string[];
  /**
   * Takes over what was read; returns what came of it, for the log.
   * @param changedAt when the files changed, in ms since the Unix epoch
   */
  readonly apply: (settings: S, changedAt: number) => Readonly<Record<string, unknown>>;
  readonly log: Logger;
}

const ignoreHangup = (): void => undefined;

/** From here on SIGHUP does not end this process: before files are watched there is nothing to read again, and after that no use. */
export const ignoreHangups = (): void => {
  process.off('SIGHUP', ignoreHangup);
  process.on('SIGHUP', ignoreHangup);
};

type Trigger = 'file_changed' | 'SIGHUP';

export class LiveReload<S extends ReloadableSettings> {
  /** Reloads since the start, by how they went. */
  applied = 0;
  refused = 0;
  /** The files as they are now do not load; those read before are in force. */
  outdated = false;
  #readAt = performance.now();
  readonly #init: LiveReloadInit<S>;
  readonly #watched: WatchedFiles;
  #settings: S;
  /** A second look at a set that did not load. */
  #retry: NodeJS.Timeout | undefined;

  constructor(init: LiveReloadInit<S>) {
    this.#init = init;
    this.#settings = init.settings;
    this.#watched = new WatchedFiles(init.settings.files, (changedAt) => this.reload('file_changed', changedAt));
  }

  async start(): Promise<void> {
    process.on('SIGHUP', this.#onHangup);
    process.off('SIGHUP', ignoreHangup);
    await this.#watched.start();
  }

  stop(): void {
    // Without any handler the signal would end a process that drains.
    ignoreHangups();
    process.off('SIGHUP', this.#onHangup);
    clearTimeout(this.#retry);
    this.#watched.stop();
  }

  /** Since the files in force were read. */
  get ageSeconds(): number {
    return (performance.now() - this.#readAt) / 1000;
  }

  /** @param changedAt when the files changed, in ms since the Unix epoch */
  reload(trigger: Trigger, changedAt = Date.now()): void {
    const hadFailed = this.#retry !== undefined;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const fault = this.#takeOver(trigger, changedAt);
    if (!fault) return;
    if (trigger === 'SIGHUP') return this.#refuse(fault.error, trigger);
    // A set that is written file by file over a longer time is reported at each step from the second on.
    if (hadFailed) this.#refuse(fault.error, trigger);
    else this.#retry = setTimeout(() => this.#lookAgain(trigger, changedAt), HALF_WRITTEN_MS).unref();
  }

  #lookAgain(trigger: Trigger, changedAt: number): void {
    this.#retry = undefined;
    const fault = this.#takeOver(trigger, changedAt);
    if (fault) this.#refuse(fault.error, trigger);
  }

  readonly #onHangup = (): void => this.reload('SIGHUP');

  /** The set as it is now, or what is urgent of it. @returns what is wrong with it, if anything */
  #takeOver(trigger: Trigger, changedAt: number): { readonly error: unknown } | undefined {
    const files = new Set(this.#settings.files);
    try {
      const settings = notingReads(files, this.#init.load);
      this.#assertSameIdentity(settings);
      this.#apply(settings, trigger, changedAt);
      return undefined;
    } catch (error) {
      // It may also have loaded and still not do: what is in force stays, and the process with it.
      this.#applyUrgent(files, trigger, changedAt);
      // A file that is named for the first time, and is at fault or missing, is waited for as well.
      this.#watched.setPaths([...files]);
      return { error };
    }
  }

  #applyUrgent(files: Set<string>, trigger: Trigger, changedAt: number): void {
    const { loadUrgent, apply, log } = this.#init;
    try {
      const settings = notingReads(files, () => loadUrgent?.(this.#settings));
      if (!settings) return;
      const outcome = apply(settings, changedAt);
      this.#settings = settings;
      log.warn('reloaded_in_part', { trigger, ...outcome });
    } catch {
      // Why is told of the whole set.
    }
  }

  #apply(settings: S, trigger: Trigger, changedAt: number): void {
    const { apply, needsRestart, log } = this.#init;
    const outcome = apply(settings, changedAt);
    for (const changed of needsRestart(this.#settings, settings)) log.warn('restart_needed', { changed });
    this.applied += 1;
    this.outdated = false;
    this.#readAt = performance.now();
    this.#settings = settings;
    this.#watched.setPaths(settings.files);
    log.info('reloaded', { trigger, ...outcome });
  }

  #refuse(error: unknown, trigger: Trigger): void {
    this.refused += 1;
    this.outdated = true;
    const code = error instanceof ZtnaError ? error.code : 'internal_error';
    this.#init.log.error('reload_refused', { trigger, code, reason: error instanceof Error ? error.message : String(error) });
  }

  /** Peers know this process by its identity, and tokens are minted for it. */
  #assertSameIdentity({ tls }: S): void {
    const before = formatIdentity(this.#settings.tls.identity);
    const after = formatIdentity(tls.identity);
    if (before === after) return;
    throw new ZtnaError('certificate_unusable', `the certificate is for ${after}, and this process is ${before}: restart it to change that`);
  }
}
