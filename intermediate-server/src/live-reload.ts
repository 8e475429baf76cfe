// Live reload: on SIGHUP, and when a file it was started from changes. A set of files that does not
// load is refused as a whole and reported; the relay goes on with what it has.

import { formatAddress, formatIdentity, WatchedFiles, ZtnaError, type Logger } from '@ztna/protocol';
import { loadRelaySettings, type RelaySettings } from './relay-config.js';
import type { RelayServer } from './relay-server.js';

export class LiveReload {
  readonly #path: string;
  readonly #server: RelayServer;
  readonly #log: Logger;
  readonly #watched: WatchedFiles;
  #settings: RelaySettings;

  constructor(path: string, settings: RelaySettings, server: RelayServer, log: Logger) {
    this.#path = path;
    this.#settings = settings;
    this.#server = server;
    this.#log = log;
    this.#watched = new WatchedFiles(settings.files, () => this.reload('file_changed'));
  }

  async start(): Promise<void> {
    process.on('SIGHUP', this.#onHangup);
    await this.#watched.start();
  }

  stop(): void {
    process.off('SIGHUP', this.#onHangup);
    this.#watched.stop();
  }

  reload(trigger: 'file_changed' | 'SIGHUP'): void {
    let settings: RelaySettings;
    try {
      settings = loadRelaySettings(this.#path);
      this.#assertSameIdentity(settings);
    } catch (error) {
      const code = error instanceof ZtnaError ? error.code : 'internal_error';
      this.#log.error('reload_refused', { trigger, code, reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    if (formatAddress(settings.listen) !== formatAddress(this.#settings.listen)) this.#log.warn('restart_needed', { changed: 'listen' });
    this.#settings = settings;
    this.#watched.setPaths(settings.files);
    this.#log.info('reloaded', { trigger, ...this.#server.apply(settings) });
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
