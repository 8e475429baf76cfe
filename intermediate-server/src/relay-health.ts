// The relay's health port: what it is asked for and what makes it ready. The port itself is protocol/src/observe.

import { HealthService, isKeyActive, type HealthServiceInit, type Keyring, type Logger, type MetricFamily, type ReadinessFault, type Revocations } from '@ztna/protocol';
import type { RelaySettings } from './relay-config.js';

export interface RelayHealthInit {
  readonly name: string;
  readonly settings: RelaySettings;
  /** The relay's own. */
  readonly families: readonly MetricFamily[];
  /** Of its workers, if it has any. */
  readonly collect?: HealthServiceInit['collect'];
  /** What is in force now. */
  readonly authorities: () => { readonly keyring: Keyring; readonly revocations: Revocations };
  /** What else makes it not ready. */
  readonly faults?: () => readonly ReadinessFault[];
  readonly log: Logger;
}

/**
 * Undefined where the configuration has no `health` section.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`
 */
export const openRelayHealth = async ({ name, settings, families, collect, authorities, faults = () => [], log }: RelayHealthInit): Promise<HealthService | undefined> => {
  if (!settings.health) return undefined;
  return HealthService.start({
    program: name,
    settings: settings.health,
    tls: settings.tls,
    families,
    ...(collect && { collect }),
    readiness: () => [...keyringFaults(authorities().keyring, Date.now()), ...faults()],
    isRevoked: (identity, serial) => authorities().revocations.revokes(identity, serial),
    log,
  });
};

/**
 * The UDP socket is open, and files that do not load end the process or leave the old ones in force, so what is left is
 * what time does to them.
 *
 * @param now milliseconds since the Unix epoch
 */
const keyringFaults = (keyring: Keyring, now: number): ReadinessFault[] => {
  const { keyIds } = keyring;
  if (keyIds.length === 0 || keyIds.some((keyId) => isKeyActive(keyring.find(keyId)!, now))) return [];
  return [{ check: 'keyring', reason: 'no key is active now' }];
};
