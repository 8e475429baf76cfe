// The relay's health port: what it is asked for and what makes it ready. The port itself is protocol/src/observe.

import { HealthService, isKeyActive, type Logger, type ReadinessFault } from '@ztna/protocol';
import type { LiveReload } from './live-reload.js';
import type { RelaySettings } from './relay-config.js';
import { relayMetrics } from './relay-metrics.js';
import type { RelayServer } from './relay-server.js';

export interface RelayHealthInit {
  readonly name: string;
  readonly settings: RelaySettings;
  readonly server: RelayServer;
  readonly reload: LiveReload;
  readonly log: Logger;
}

/**
 * Undefined where the configuration has no `health` section.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`
 */
export const openRelayHealth = async ({ name, settings, server, reload, log }: RelayHealthInit): Promise<HealthService | undefined> => {
  if (!settings.health) return undefined;
  return HealthService.start({
    program: name,
    settings: settings.health,
    tls: settings.tls,
    families: relayMetrics({ server, reload }),
    readiness: () => relayFaults(server, Date.now()),
    isRevoked: (identity, serial) => server.authorities.revocations.revokes(identity, serial),
    log,
  });
};

/**
 * The UDP socket is open, and files that do not load end the process or leave the old ones in force, so what is left is
 * what time does to them.
 *
 * @param now milliseconds since the Unix epoch
 */
const relayFaults = ({ authorities: { keyring } }: RelayServer, now: number): ReadinessFault[] => {
  const { keyIds } = keyring;
  if (keyIds.length === 0 || keyIds.some((keyId) => isKeyActive(keyring.find(keyId)!, now))) return [];
  return [{ check: 'keyring', reason: 'no key is active now' }];
};
