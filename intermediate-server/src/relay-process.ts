// What a process that relays is made of, whether it is the only one (commands.ts) or one of several workers (worker-main.ts):
// the server on a socket, its journal, live reload, status on a signal.

import { allocatorInUse, describeUdp, ExpiryWarnings, formatAddress, formatIdentity, LiveReload, reportStatusOnSignal, type Logger, type UdpSocket, type WorkerPlace } from '@ztna/protocol';
import { openJournal, type ClientJournal } from './client-journal.js';
import { warnOfUnknownNames } from './policy-names.js';
import { loadRelaySettings, loadRevocations, needsRestart, type RelaySettings } from './relay-config.js';
import { RelayServer } from './relay-server.js';

export interface RelayProcessInit {
  /** The path of relay.yaml. */
  readonly config: string;
  readonly settings: RelaySettings;
  readonly socket: UdpSocket;
  readonly log: Logger;
  /** Default: it is alone. */
  readonly worker?: WorkerPlace;
  /** Before the server takes over what a reload brought. */
  readonly onReload?: (settings: RelaySettings) => void;
}

export interface RelayProcess {
  readonly server: RelayServer;
  readonly journal: ClientJournal | undefined;
  /** Not yet started. */
  readonly reload: LiveReload<RelaySettings>;
  /** Lets sessions finish, up to the configured time or until `hurry` settles, and releases everything. */
  readonly drain: (hurry: Promise<unknown>) => Promise<void>;
}

/** From here on packets are answered. The caller has the address, so nobody else uses the journal. */
export const openRelayProcess = async ({ config, settings, socket, log, worker, onReload }: RelayProcessInit): Promise<RelayProcess> => {
  const { journal, left } = await openJournal(workerJournal(settings.journalPath, worker), log, settings.limits.maxConnections);
  const server = new RelayServer({ ...settings, log, socket, journal, worker });
  // A process that is one of several leaves it to its parent to say that the relay listens.
  log.info(worker ? 'worker_listening' : 'listening', { identity: formatIdentity(settings.tls.identity), address: formatAddress(server.local), ...describeUdp(socket), allocator: allocatorInUse() });
  reportStatusOnSignal(log, () => server.status());
  server.promptReturn(left);
  // Of several workers the first one speaks for all of what they have in common.
  const speaks = !worker || worker.index === 0;
  const expiry = new ExpiryWarnings(settings.tls, log);
  if (speaks) {
    expiry.start();
    warnOfUnknownNames(settings, log);
  }
  const apply = (changed: RelaySettings, changedAt: number): { clientsClosed: number } => {
    onReload?.(changed);
    if (speaks) {
      expiry.apply(changed.tls);
      warnOfUnknownNames(changed, log);
    }
    return server.apply(changed, changedAt);
  };
  const reload = new LiveReload({ load: () => loadRelaySettings(config), loadUrgent: (inForce) => loadRevocations(config, inForce), settings, needsRestart, apply, log });
  const drain = async (hurry: Promise<unknown>): Promise<void> => {
    reload.stop();
    expiry.stop();
    await Promise.race([server.drain(settings.drainTimeoutMs), hurry]);
    await server.close();
    log.info('stopped', { datagrams: server.machine.counters.totals(), packetDrops: server.packetDrops });
  };
  return { server, journal, reload, drain };
};

/** Each worker has a file of its own; the first one that of a relay without workers. */
const workerJournal = (path: string | undefined, worker: WorkerPlace | undefined): string | undefined =>
  path === undefined || !worker || worker.index === 0 ? path : `${path}.${worker.index}`;
