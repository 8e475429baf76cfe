// The connector's health port: its metrics, and what makes it ready. The port itself is protocol/src/observe.

import { HealthService, linkFault, linkMetrics, loadHealthSettings, outcomeFamily, single, type LabelSet, type Logger, type MetricFamily, type TlsMaterial } from '@ztna/protocol';
import { BackendProbes } from './backend-probes.js';
import type { ConnectorConfig } from './connector-config.js';
import type { Connector } from './connector.js';
import type { ServedService } from './service.js';

const PREFIX = 'ztna_connector';

export interface ConnectorHealthInit {
  readonly name: string;
  readonly section: ConnectorConfig['health'];
  readonly tls: TlsMaterial;
  readonly services: readonly ServedService[];
  readonly connector: Connector;
  readonly log: Logger;
}

export interface ConnectorHealth extends Pick<HealthService, 'drain' | 'stop'> {
  /** What a reload brought. */
  apply(section: ConnectorConfig['health'], tls: TlsMaterial, services: readonly ServedService[]): void;
}

/**
 * Undefined where the configuration has no `health` section.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`, and as `loadHealthSettings`
 */
export const openConnectorHealth = async ({ name, section, tls, services, connector, log }: ConnectorHealthInit): Promise<ConnectorHealth | undefined> => {
  if (!section) return undefined;
  const probes = new BackendProbes(services, section.probeInterval);
  const service = await HealthService.start({
    program: name,
    settings: loadHealthSettings(section),
    tls,
    families: connectorMetrics(connector, probes),
    readiness: () => [linkFault(connector.link.machine) ?? [], probes.faults()].flat(),
    log,
  });
  probes.start();
  return {
    apply: (changed, material, served) => {
      service.apply({ settings: changed && loadHealthSettings(changed), tls: material });
      probes.setServices(served);
    },
    drain: () => service.drain(),
    stop: () => {
      probes.stop();
      return service.stop();
    },
  };
};

export const connectorMetrics = (
  connector: Pick<Connector, 'link' | 'stats' | 'innerConnections'>,
  probes: Pick<BackendProbes, 'services' | 'isUp'>,
): readonly MetricFamily[] => {
  const { link, stats } = connector;
  const service: LabelSet = { values: [...stats.connects.keys()], described: 'services of connector.yaml' };
  return [
    ...linkMetrics(PREFIX, link.machine, link.outcomes),
    single('gauge', `${PREFIX}_inner_connections`, 'Inner connections of agents, one per agent process and service', () => connector.innerConnections),
    outcomeFamily(`${PREFIX}_inner_handshakes_total`, 'Inner handshakes of agents that ended', stats.handshakes),
    ...stats.flows.families({ prefix: PREFIX, directions: ['from_backend', 'to_backend'], services: 'services of connector.yaml' }),
    {
      type: 'histogram',
      name: `${PREFIX}_backend_connect_seconds`,
      help: "Time to a TCP connection with a flow's backend, where there was one",
      labels: { service },
      read: (emit) => {
        for (const [name, histogram] of stats.connects) emit(histogram, { service: name });
      },
    },
    {
      type: 'gauge',
      name: `${PREFIX}_backend_up`,
      help: 'Whether the backend of a TCP service accepted the last probe, 1 or 0',
      labels: { service },
      read: (emit) => {
        for (const name of probes.services) emit(probes.isUp(name) ? 1 : 0, { service: name });
      },
    },
  ];
};
