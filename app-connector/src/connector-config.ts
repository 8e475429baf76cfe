// connector.yaml: where the relays are, who we are, and the backend of each service.

import { checkHealthGuard, durationMs, hostPort, identityName, logSection, registrationSection, relaysSection, serverHealthKeys, serviceName, tlsSection, udpMode } from '@ztna/protocol';
import { z } from 'zod';
import type { ServedService } from './service.js';

/** `["*"]` is what many try first. */
const allowedAgent = z.unknown().superRefine((entry, context) => {
  if (entry === '*') context.addIssue({ code: 'custom', message: "must be an agent's name; for every agent write allow: '*', without the list" });
}).pipe(identityName);

const serviceSection = z.strictObject({
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
  backend: hostPort,
  /** Names of agents, or '*' for every agent of the trust domain. An empty list allows nobody. */
  allow: z.union([z.literal('*'), z.array(allowedAgent)], { error: "must be a list of agents' names, or '*' for every agent" }),
});

const healthSection = z
  .strictObject({
    ...serverHealthKeys(9434),
    /** How often the backends of TCP services are connected to, to see whether they answer. */
    probeInterval: durationMs.default(10_000),
  })
  .superRefine(checkHealthGuard);

export const connectorSchema = z.strictObject({
  relays: relaysSection,
  tls: tlsSection,
  registration: registrationSection,
  services: z.record(serviceName, serviceSection).refine((services) => Object.keys(services).length > 0, 'must name at least one service'),
  udp: udpMode,
  log: logSection,
  /** Probes and metrics. Default: nothing listens. */
  health: healthSection.optional(),
});
export type ConnectorConfig = z.infer<typeof connectorSchema>;

export const servedServices = (config: ConnectorConfig): ServedService[] =>
  Object.entries(config.services).map(([name, { protocol, backend, allow }]) => ({
    name,
    protocol,
    backend,
    allow: allow === '*' ? '*' : new Set(allow),
  }));
