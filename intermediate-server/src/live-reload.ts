// Live reload: on SIGHUP, and when a file it was started from changes. A set of files that does not
// load is refused as a whole and reported; the relay goes on with what it has.

import { formatAddress, formatIdentity, WatchedFiles, ZtnaError, type LogFields, type Logger } from '@ztna/protocol';
import { performance } from 'node:perf_hooks';
import { loadRelaySettings, type RelaySettings } from './relay-config.js';

/** Takes over what a reload read; says what came of it, for the log. */
export type ApplySettings = (settings: RelaySettings, changedAt: number) => LogFields;

export class LiveReload {
  /** Reloads since the start, by how they went. */
  applied = 0;
  refused = 0;
  /** The files as they are now do not load; those read before are in force. */
  outdated = false;
  #readAt = performance.now();
  readonly #path: string;
  readonly #apply: ApplySettings;
  readonly #log: Logger;
  readonly #watched: WatchedFiles;
  #settings: RelaySettings;

  constructor(path: string, settings: RelaySettings, apply: ApplySettings, log: Logger) {
    this.#path = path;
    this.#settings = settings;
    this.#apply = apply;
    this.#log = log;
    this.#watched = new WatchedFiles(settings.files, (changedAt) => this.reload('file_changed', changedAt));
  }

  async start(): Promise<void> {
    process.on('SIGHUP', this.#onHangup);
    await this.#watched.start();
  }

  stop(): void {
    process.off('SIGHUP', this.#onHangup);
    this.#watched.stop();
  }

  /** Since the files in force were read. */
  get ageSeconds(): number {
    return (performance.now() - this.#readAt) / 1000;
  }

  /** @param changedAt when the files changed, in ms since the Unix epoch */
  reload(trigger: 'file_changed' | 'SIGHUP', changedAt = Date.now()): void {
    let settings: RelaySettings;
    try {
      settings = loadRelaySettings(this.#path);
      this.#assertSameIdentity(settings);
    } catch (error) {
      this.refused += 1;
      this.outdated = true;
      const code = error instanceof ZtnaError ? error.code : 'internal_error';
      this.#log.error('reload_refused', { trigger, code, reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    if (formatAddress(settings.listen) !== formatAddress(this.#settings.listen)) this.#log.warn('restart_needed', { changed: 'listen' });
    if (settings.workers !== this.#settings.workers) this.#log.warn('restart_needed', { changed: 'workers' });
    this.applied += 1;
    this.outdated = false;
    this.#readAt = performance.now();
    this.#settings = settings;
    this.#watched.setPaths(settings.files);
    this.#log.info('reloaded', { trigger, ...this.#apply(settings, changedAt) });
  }

  readonly #onHangup = (): void => this.reload('SIGHUP');

  /** Clients know this relay by its identity, and tokens name it as their audience. */
  #assertSameIdentity(next: RelaySettings): void {
    const before = formatIdentity(this.#settings.tls.identity);
    const after = formatIdentity(next.tls.identity);
    if (before === after) return;
    throw new ZtnaError('certificate_unusable', `the certificate is for ${after}, and this relay is ${before}: restart it to change that`);
  }
}
