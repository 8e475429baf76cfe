// The overlay most tests want: one relay, one connector in front of the given services, one agent with
// a listener for each. And what tests ask of its processes: counts of events, memory.

import type { Test } from 'tap';
import { Lab, type ListenerConfig, type RunningAgent, type ServiceConfig } from './lab.js';
import type { LogEvent, ManagedProcess } from './managed-process.js';

export interface Overlay {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly agent: RunningAgent;
}

export const AGENT = 'alice';
export const CONNECTOR = 'connector-1';

/** `listen` overrides the listening address of single services, `relayExtra` settings of the relay. */
export const startOverlay = async (
  t: Test,
  services: Readonly<Record<string, ServiceConfig>>,
  listen: Readonly<Record<string, string>> = {},
  relayExtra: object = {},
): Promise<Overlay> => {
  const lab = Lab.create(t);
  const names = Object.keys(services);
  lab.enrol('connector', CONNECTOR, names);
  lab.enrol('agent', AGENT);
  const relay = await lab.startRelay([{ allow: [AGENT], services: names }], { extra: relayExtra });
  const connector = await lab.startConnector(CONNECTOR, services);
  const agent = await lab.startAgent(AGENT, listenersFor(services, listen));
  return { lab, relay, connector, agent };
};

/** One listener for each service, of its protocol. */
export const listenersFor = (services: Readonly<Record<string, ServiceConfig>>, listen: Readonly<Record<string, string>> = {}): ListenerConfig[] =>
  Object.entries(services).map(([service, { protocol }]) => ({
    service,
    ...(protocol ? { protocol } : {}),
    ...(listen[service] === undefined ? {} : { listen: listen[service] }),
  }));

export const countEvents = (process: ManagedProcess, name: string, fields: Readonly<Record<string, unknown>> = {}): number =>
  process.events.filter((event) => event.event === name && Object.entries(fields).every(([key, value]) => event[key] === value)).length;

/** Waits until an event of that name was seen `count` times. */
export const waitForCount = (process: ManagedProcess, name: string, count: number): Promise<LogEvent> =>
  process.waitForEvent((event) => event.event === name && countEvents(process, name) >= count, `${count} × ${name}`);

/** Waits until the connector has closed every flow it opened: nothing leaked. */
export const allFlowsClosed = async (connector: ManagedProcess): Promise<void> => {
  const done = (): boolean => countEvents(connector, 'flow_closed') === countEvents(connector, 'flow_opened');
  if (!done()) await connector.waitForNext((event) => event.event === 'flow_closed' && done(), 'the end of every flow');
};
