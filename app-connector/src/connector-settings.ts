// connector.yaml and the files it names, loaded and checked against each other, at the start and at every reload.

import { healthNeedsRestart, loadClientSettings, loadConfig, loadHealthSettings, withFiles, ZtnaError, type ClientSettings, type ReloadableSettings } from '@ztna/protocol';
import { isDeepStrictEqual } from 'node:util';
import { connectorSchema, servedServices, type ConnectorConfig } from './connector-config.js';
import type { ServedService } from './service.js';

export interface ConnectorSettings extends ClientSettings, ReloadableSettings {
  readonly config: ConnectorConfig;
  readonly services: readonly ServedService[];
}

/** @throws ZtnaError that names the file, the key and what to do */
export const loadConnectorSettings = (path: string): ConnectorSettings =>
  withFiles(() => {
    const { config } = loadConfig(path, connectorSchema);
    const settings = loadClientSettings('connector', config);
    const missing = Object.keys(config.services).filter((service) => !settings.tls.services.includes(service));
    if (missing.length > 0)
      throw new ZtnaError(
        'certificate_unusable',
        `${config.tls.certificate} gives no right to serve ${missing.join(', ')}: issue it again with ${missing.map((name) => `--service ${name}`).join(' ')}`,
      );
    if (config.health) loadHealthSettings(config.health);
    return { ...settings, config, services: servedServices(config) };
  });

/** Keys that take effect at the next start only. */
export const needsRestart = (before: ConnectorSettings, after: ConnectorSettings): string[] => {
  const changed = (['relays', 'udp', 'log'] as const).filter((key) => !isDeepStrictEqual(before.config[key], after.config[key]));
  const old = before.config.services;
  const services = Object.entries(after.config.services).flatMap(([name, { protocol }]) =>
    old[name] === undefined ? [`services.${name}`] : old[name].protocol === protocol ? [] : [`services.${name}.protocol`],
  );
  const gone = Object.keys(old).filter((name) => after.config.services[name] === undefined).map((name) => `services.${name}`);
  const health = healthNeedsRestart(before.config.health, after.config.health, ['listen', 'metrics', 'tls', 'probeInterval']);
  return [...changed, ...services, ...gone, ...health];
};
