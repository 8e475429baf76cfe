// agent.yaml and the files it names, loaded and checked, at the start and at every reload; and what in it is allowed but
// deserves a word.

import { formatHostPort, healthNeedsRestart, isLoopback, loadClientSettings, loadConfig, loadHealthSettings, withFiles, type ClientSettings, type ReloadableSettings } from '@ztna/protocol';
import { isDeepStrictEqual } from 'node:util';
import { agentSchema, type AgentConfig } from './agent-config.js';

export interface AgentSettings extends ClientSettings, ReloadableSettings {
  readonly config: AgentConfig;
}

/** @throws ZtnaError that names the file, the key and what to do */
export const loadAgentSettings = (path: string): AgentSettings =>
  withFiles(() => {
    const { config } = loadConfig(path, agentSchema);
    const settings = loadClientSettings('agent', config);
    if (config.health) loadHealthSettings(config.health);
    return { ...settings, config };
  });

/** Keys that take effect at the next start only. */
export const needsRestart = ({ config: before }: AgentSettings, { config: after }: AgentSettings): string[] => [
  ...(['relays', 'listeners', 'udp', 'log'] as const).filter((key) => !isDeepStrictEqual(before[key], after[key])),
  ...healthNeedsRestart(before.health, after.health, ['listen', 'metrics']),
];

/** A listener that others than this machine's programs can reach. */
export interface ExposedListener {
  readonly service: string;
  /** address:port */
  readonly address: string;
}

export const exposedListeners = ({ listeners }: Pick<AgentConfig, 'listeners'>): ExposedListener[] =>
  listeners.filter(({ listen }) => !isLoopback(listen.host)).map(({ service, listen }) => ({ service, address: formatHostPort(listen) }));

/** For `check`. */
export const describeExposed = ({ service, address }: ExposedListener): string =>
  `the listener for ${service} on ${address} is no loopback address: whoever reaches it reaches ${service} as this agent`;
