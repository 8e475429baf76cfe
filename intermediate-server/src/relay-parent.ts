// A relay with several workers, as its parent process: opens the shared port, keeps a worker on each of its sockets, answers
// on the health port for all of them, and passes on what it is told. No packet comes here.

import { availableParallelism } from 'node:os';
import { assertSharedPorts, formatAddress, formatIdentity, ignoreHangups, LiveReload, openSharedPort, reportStatusOnSignal, stopSignal, type Logger } from '@ztna/protocol';
import { loadRelaySettings, needsRestart, type RelaySettings } from './relay-config.js';
import { openRelayHealth } from './relay-health.js';
import { WorkerPool } from './worker-pool.js';

export interface RelayParentInit {
  readonly name: string;
  /** The path of relay.yaml. */
  readonly config: string;
  readonly settings: RelaySettings;
  readonly log: Logger;
}

/**
 * Runs until SIGTERM or SIGINT, and until every worker has ended.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`; RunFailure when a worker does not come up
 */
export const runWorkers = async ({ name, config, settings, log }: RelayParentInit): Promise<void> => {
  const { workers, listen, tls } = settings;
  const warning = workersWarning(workers);
  if (warning !== undefined) log.warn('workers_beyond_processors', { reason: warning });
  // Before anybody can know that it runs.
  ignoreHangups();
  const stopped = stopSignal();
  const port = await openSharedPort(listen, workers);
  const pool = new WorkerPool(port.descriptors, { config, log });
  await pool.start();
  log.info('listening', { identity: formatIdentity(tls.identity), address: formatAddress(port.local), workers });
  reportStatusOnSignal(log, () => ({ workers, ready: workers - pool.faults().length }));
  const passOn = (signal: NodeJS.Signals): void => pool.signal(signal);
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) process.on(signal, passOn);
  let inForce = settings;
  // Each worker reloads by itself; here only what the health port needs.
  const reload = new LiveReload<RelaySettings>({
    load: () => loadRelaySettings(config),
    settings,
    needsRestart,
    apply: (changed) => {
      inForce = changed;
      health?.apply({ settings: changed.health, tls: changed.tls });
      return {};
    },
    log,
  });
  const health = await openRelayHealth({
    name,
    settings,
    families: pool.families,
    collect: () => pool.collect(),
    authorities: () => inForce,
    faults: () => pool.faults(),
    log,
  }).catch(async (error: unknown) => {
    await pool.stop(0);
    throw error;
  });
  await reload.start();
  const signal = await stopped;
  reload.stop();
  health?.drain();
  log.info('stopping', { signal });
  // A second signal does not wait for sessions to finish.
  void stopSignal().then(() => pool.hurry());
  await pool.stop(settings.drainTimeoutMs);
  await health?.stop();
  port.close();
  log.info('stopped');
};

/** More workers than processors share them, and gain nothing. Undefined when all is well. */
export const workersWarning = (workers: number, processors = availableParallelism()): string | undefined =>
  workers > processors ? `${workers} workers on ${processors} ${processors === 1 ? 'processor' : 'processors'} are slower than ${processors}` : undefined;

/**
 * For `check`.
 *
 * @throws ZtnaError `socket_failed` where several workers cannot share a port
 */
export const checkWorkers = async (workers: number): Promise<string | undefined> => {
  if (workers === 1) return undefined;
  await assertSharedPorts();
  return workersWarning(workers);
};
