// relay.yaml and the files it names: everything the relay needs, loaded and checked before a socket opens.

import {
  durationMs,
  filePath,
  listenAddress,
  loadConfig,
  loadDocument,
  loadTlsMaterial,
  logSection,
  parseKeyring,
  parsePolicy,
  tlsSection,
  type Keyring,
  type LogSection,
  type Policy,
  type SocketAddress,
  type TlsMaterial,
} from '@ztna/protocol';
import { z } from 'zod';

const relaySchema = z.strictObject({
  /** UDP. `0.0.0.0:4433` for IPv4, `[::]:4433` for both. */
  listen: listenAddress,
  tls: tlsSection,
  /** Keys that may sign registrations (`ztna-certs keygen`). */
  keyring: filePath,
  /** Who may open which service; what it does not allow is denied. */
  policy: filePath,
  /** How long SIGTERM lets sessions finish. */
  drainTimeout: durationMs.default(30_000),
  log: logSection,
});

export interface RelaySettings {
  readonly listen: SocketAddress;
  readonly tls: TlsMaterial;
  readonly keyring: Keyring;
  readonly policy: Policy;
  readonly drainTimeoutMs: number;
  readonly log: LogSection;
}

/** @throws ZtnaError that names the file, the key and what to do */
export const loadRelaySettings = (path: string): RelaySettings => {
  const { config } = loadConfig(path, relaySchema);
  return {
    listen: config.listen,
    tls: loadTlsMaterial(config.tls, { role: 'relay' }),
    // Owner-only even without HMAC secrets: whoever can write it can register, and keys get added later.
    keyring: loadDocument(config.keyring, parseKeyring, { secret: true }).keyring,
    policy: loadDocument(config.policy, parsePolicy).policy,
    drainTimeoutMs: config.drainTimeout,
    log: config.log,
  };
};
