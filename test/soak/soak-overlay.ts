// The soak's overlay: one relay, two connectors, three agents with listeners and one that only runs `connect`, each
// behind a link of the bad network. Owns their configuration, start and restart; what goes wrong, and when, is faults.ts's.

import type { Lab, RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import type { Network } from './network.js';
import type { FaultTargets } from './fault-plan.js';

export const RELAY = 'relay-1';
/** The steady ones live through the whole run, so that their memory can be followed. */
export const CONNECTORS = ['con-steady', 'con-mortal'] as const;
export const AGENTS = ['ann', 'bob', 'cid'] as const;
export const ONE_SHOT_AGENT = 'dot';

export interface SoakService {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly connector: (typeof CONNECTORS)[number];
}

export const SERVICES: readonly SoakService[] = [
  { name: 'files-a', protocol: 'tcp', connector: 'con-steady' },
  { name: 'files-b', protocol: 'tcp', connector: 'con-mortal' },
  { name: 'games-a', protocol: 'udp', connector: 'con-steady' },
  { name: 'games-b', protocol: 'udp', connector: 'con-mortal' },
  /** Nobody listens at its backend. */
  { name: 'nowhere', protocol: 'tcp', connector: 'con-steady' },
];

export const TARGETS: FaultTargets = {
  relay: RELAY,
  mortalAgents: ['bob', 'cid'],
  mortalConnectors: ['con-mortal'],
  clients: [...CONNECTORS, ...AGENTS],
  services: SERVICES.filter(({ protocol, name }) => protocol === 'tcp' && name !== 'nowhere').map(({ name }) => name),
};

/** Sessions get this long when the relay is told to stop. */
const DRAIN_TIMEOUT = '2s';
const LOG = { level: 'debug' };

export class SoakOverlay {
  readonly lab: Lab;
  readonly network: Network;
  readonly #backends: ReadonlyMap<string, string>;
  readonly #links = new Map<string, number>();
  readonly #running = new Map<string, ManagedProcess>();
  readonly #agents = new Map<string, RunningAgent>();
  readonly #onStart: (name: string, process: ManagedProcess) => void;

  /**
   * @param backends host:port by service name
   * @param onStart told of each process, first ones and those after a restart
   */
  constructor(lab: Lab, network: Network, backends: ReadonlyMap<string, string>, onStart: (name: string, process: ManagedProcess) => void) {
    this.lab = lab;
    this.network = network;
    this.#backends = backends;
    this.#onStart = onStart;
  }

  /** Starts everything; resolves once every client is registered. */
  async start(): Promise<void> {
    for (const name of CONNECTORS) this.lab.enrol('connector', name, this.#servicesOf(name).map((service) => service.name));
    for (const name of [...AGENTS, ONE_SHOT_AGENT]) this.lab.enrol('agent', name);
    for (const name of [...CONNECTORS, ...AGENTS, ONE_SHOT_AGENT]) this.#links.set(name, await this.network.openLink(name));
    await this.restart(RELAY);
    await Promise.all([...CONNECTORS, ...AGENTS].map((name) => this.restart(name)));
  }

  /** Names and processes that run, in the order of their first start. */
  get running(): ReadonlyMap<string, ManagedProcess> {
    return this.#running;
  }

  process(name: string): ManagedProcess {
    const process = this.#running.get(name);
    if (!process) throw new Error(`${name} was never started`);
    return process;
  }

  /** Where an agent's listener for a service is; undefined while the agent is down. */
  port(agent: string, service: string): number | undefined {
    const running = this.#agents.get(agent);
    return running && !running.process.hasExited && running.process.events.some(({ event }) => event === 'registered') ? running.port(service) : undefined;
  }

  /** `ztna-agent connect SERVICE` as its arguments. */
  connectCommand(service: string): string[] {
    return this.lab.connectCommand(ONE_SHOT_AGENT, service, this.#client(ONE_SHOT_AGENT));
  }

  /** Starts a process that is down; resolves once it listens, or is registered. */
  async restart(name: string): Promise<void> {
    if (name === RELAY) {
      const process = await this.lab.startRelay(this.#policy(), { name: RELAY, extra: { log: LOG, drainTimeout: DRAIN_TIMEOUT } });
      await this.network.setRelay(this.lab.relayPort);
      return this.#note(name, process);
    }
    if (this.#isConnector(name)) {
      const services = Object.fromEntries(
        this.#servicesOf(name).map(({ name: service, protocol }) => [service, { protocol, backend: this.#backends.get(service)! }]),
      );
      const process = this.lab.runConnector(name, services, this.#client(name));
      this.#note(name, process);
      return void (await process.waitFor('registered'));
    }
    const agent = this.lab.runAgent(name, SERVICES.map(({ name: service, protocol }) => ({ service, protocol })), this.#client(name));
    this.#agents.set(name, agent);
    this.#note(name, agent.process);
    await agent.process.waitFor('registered');
  }

  /** What the relay's policy file says, with one right taken away. */
  writePolicy(without?: { readonly agent: string; readonly service: string }): void {
    this.lab.write('policy.yaml', JSON.stringify({ rules: this.#policy(without) }));
  }

  #policy(without?: { readonly agent: string; readonly service: string }) {
    return SERVICES.map(({ name }) => ({
      allow: [...AGENTS, ONE_SHOT_AGENT].filter((agent) => agent !== without?.agent || name !== without.service),
      services: [name],
    }));
  }

  #note(name: string, process: ManagedProcess): void {
    this.#running.set(name, process);
    this.#onStart(name, process);
  }

  #client(name: string): object {
    return { relays: [{ address: `127.0.0.1:${this.#links.get(name)!}`, name: RELAY }], log: LOG };
  }

  #isConnector(name: string): boolean {
    return (CONNECTORS as readonly string[]).includes(name);
  }

  #servicesOf(connector: string): readonly SoakService[] {
    return SERVICES.filter((service) => service.connector === connector);
  }
}
