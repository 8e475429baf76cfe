// relay.yaml and the files it names: everything the relay needs, loaded and checked before a socket opens.

import {
  checkHealthGuard,
  durationMs,
  filePath,
  healthNeedsRestart,
  listenAddress,
  loadConfig,
  loadDocument,
  loadHealthSettings,
  loadTlsMaterial,
  logSection,
  MAX_WORKERS,
  NOTHING_REVOKED,
  parseKeyring,
  parsePolicy,
  parseRevocations,
  readRetryKeyFile,
  serverHealthKeys,
  tlsSection,
  udpMode,
  withFiles,
  ZtnaError,
  type HealthSettings,
  type Keyring,
  type LogSection,
  type Policy,
  type ReloadableSettings,
  type Revocations,
  type SocketAddress,
  type UdpMode,
} from '@ztna/protocol';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { limitsSection, toRelayServerLimits, type RelayServerLimits } from './limits-section.js';

export const relaySchema = z.strictObject({
  /** UDP. `0.0.0.0:4433` for IPv4, `[::]:4433` for both. */
  listen: listenAddress,
  /** Processes that share the port and the load. */
  workers: z.int().min(1).max(MAX_WORKERS).default(1),
  tls: tlsSection,
  /** Keys that may sign registrations (`ztna-certs keygen`). */
  keyring: filePath,
  /** Who may open which service; what it does not allow is denied. */
  policy: filePath,
  /** Certificates and identities that may not connect. Default: none are denied. */
  denyList: filePath.optional(),
  /** Which clients are connected, for their quick return after a kill. Default: beside this file. */
  journal: z.union([z.literal(false), filePath], { error: 'must be the path of a file, or false' }).optional(),
  /** The key that relays behind one address share (`ztna-certs retry-key`). Default: random ones of this process. */
  retryKey: filePath.optional(),
  /** How long SIGTERM lets sessions finish. */
  drainTimeout: durationMs.default(30_000),
  /** Bounds on what one source, client or queue may take. */
  limits: limitsSection,
  udp: udpMode,
  log: logSection,
  /** Probes and metrics. Default: nothing listens. */
  health: z.strictObject(serverHealthKeys(9433)).superRefine(checkHealthGuard).optional(),
});

export interface RelaySettings extends ReloadableSettings {
  readonly listen: SocketAddress;
  /** 1: the process itself relays. */
  readonly workers: number;
  readonly keyring: Keyring;
  readonly policy: Policy;
  readonly revocations: Revocations;
  /** The file they are from, if any. */
  readonly denyListPath: string | undefined;
  /** Undefined: none is kept. */
  readonly journalPath: string | undefined;
  readonly retryKey: Buffer | undefined;
  readonly drainTimeoutMs: number;
  readonly limits: RelayServerLimits;
  readonly udp: UdpMode;
  readonly log: LogSection;
  readonly health: HealthSettings | undefined;
}

/** @throws ZtnaError that names the file, the key and what to do */
export const loadRelaySettings = (path: string): RelaySettings => {
  const settings = readRelaySettings(path);
  const { journalPath, files } = settings;
  if (journalPath !== undefined && files.includes(journalPath))
    throw new ZtnaError('config_invalid', `${path}: journal: ${journalPath} is read as something else and would be written over; name a file of its own, or false`);
  return settings;
};

const readRelaySettings = (path: string): RelaySettings =>
  withFiles(() => {
    const { config, path: absolute } = loadConfig(path, relaySchema);
    const { tls, keyring, policy, denyList, retryKey } = config;
    return {
      listen: config.listen,
      workers: config.workers,
      tls: loadTlsMaterial(tls, { role: 'relay' }),
      // Owner-only even without HMAC secrets: whoever can write it can register, and keys get added later.
      keyring: loadDocument(keyring, parseKeyring, { secret: true }).keyring,
      policy: loadDocument(policy, parsePolicy).policy,
      journalPath: journalPath(config.journal, absolute),
      retryKey: retryKey === undefined ? undefined : readRetryKeyFile(retryKey),
      drainTimeoutMs: config.drainTimeout,
      limits: toRelayServerLimits(config.limits),
      revocations: readDenyList(denyList),
      denyListPath: denyList,
      udp: config.udp,
      log: config.log,
      health: config.health && loadHealthSettings(config.health),
    };
  });

/**
 * What must not wait until the whole set of files loads: who is revoked. A policy with a slip of the pen, or a certificate of the
 * relay's that has run out, keeps nobody in.
 *
 * @returns `inForce` with the deny list as it is now; undefined when that is the one in force
 * @throws ZtnaError when the deny list itself does not load
 */
export const loadRevocations = (path: string, inForce: RelaySettings): RelaySettings | undefined => {
  const denyListPath = namedDenyList(path) ?? inForce.denyListPath;
  const revocations = readDenyList(denyListPath);
  return revocations.equals(inForce.revocations) ? undefined : { ...inForce, revocations, denyListPath };
};

const readDenyList = (path: string | undefined): Revocations => (path === undefined ? NOTHING_REVOKED : loadDocument(path, parseRevocations).revocations);

/** Undefined also when relay.yaml itself does not load. */
const namedDenyList = (path: string): string | undefined => {
  try {
    return loadConfig(path, relaySchema).config.denyList;
  } catch {
    return undefined;
  }
};

/** Keys that take effect at the next start only. */
export const needsRestart = (before: RelaySettings, after: RelaySettings): string[] => [
  ...Object.entries(AT_START).filter(([, read]) => !isDeepStrictEqual(read(before), read(after))).map(([key]) => key),
  ...healthNeedsRestart(before.health, after.health, ['listen', 'metrics', 'tls']),
];

/** What is read once; everything else a reload takes up. */
const AT_START: Readonly<Record<string, (settings: RelaySettings) => unknown>> = {
  listen: ({ listen }) => listen,
  workers: ({ workers }) => workers,
  journal: ({ journalPath }) => journalPath,
  drainTimeout: ({ drainTimeoutMs }) => drainTimeoutMs,
  'limits.queues.total': ({ limits }) => limits.budget.bytes,
  udp: ({ udp }) => udp,
  log: ({ log }) => log,
};

/** `/etc/ztna/relay.yaml` has its journal in `/etc/ztna/relay.journal`: two relays in one folder have two. */
const journalPath = (configured: string | false | undefined, config: string): string | undefined => {
  if (configured === false) return undefined;
  return configured ?? `${config.replace(/\.ya?ml$/i, '')}.journal`;
};
