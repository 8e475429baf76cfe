// The agent's health port: its metrics, and what makes it ready. The port itself is protocol/src/observe.

import { HealthService, linkFault, linkMetrics, loadHealthSettings, type Logger, type MetricFamily, type ReadinessFault, type TlsMaterial } from '@ztna/protocol';
import type { AgentConfig } from './agent-config.js';
import type { Agent } from './agent.js';

const PREFIX = 'ztna_agent';

export interface AgentHealthInit {
  readonly name: string;
  readonly section: AgentConfig['health'];
  readonly tls: TlsMaterial;
  readonly agent: Agent;
  /** Whether every listener is open. */
  readonly listening: () => boolean;
  readonly log: Logger;
}

/**
 * Undefined where the configuration has no `health` section.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`, and as `loadHealthSettings`
 */
export const openAgentHealth = async ({ name, section, tls, agent, listening, log }: AgentHealthInit): Promise<HealthService | undefined> => {
  if (!section) return undefined;
  const notListening: ReadinessFault = { check: 'listening', reason: 'not every listener is open' };
  return HealthService.start({
    program: name,
    settings: loadHealthSettings(section),
    tls,
    families: agentMetrics(agent),
    readiness: () => [listening() ? [] : notListening, linkFault(agent.link.machine) ?? []].flat(),
    log,
  });
};

export const agentMetrics = ({ link, flows }: Pick<Agent, 'link' | 'flows'>): readonly MetricFamily[] => [
  ...linkMetrics(PREFIX, link.machine, link.outcomes),
  ...flows.families({ prefix: PREFIX, directions: ['from_program', 'to_program'], services: "services of agent.yaml's listeners" }),
];
