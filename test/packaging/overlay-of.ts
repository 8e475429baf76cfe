// A whole overlay from programs that were packed or assembled, in place of the repository's own: whoever calls says how each
// is started. Its traffic is what shows that nothing is missing from them.

import { stringify } from 'yaml';
import type { Test } from 'tap';
import { Lab, type LabOwner } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { unusedPort } from '../harness/tcp.js';
import { startWebBackend } from '../harness/web-backend.js';

export type Program = 'intermediate-server' | 'app-connector' | 'agent';

/** Starts a program with arguments; the configuration files are in the lab's folder, which is where `-c` paths start. */
export type Start = (program: Program, args: readonly string[], lab: Lab) => ManagedProcess;

export interface PackedOverlay {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly agent: ManagedProcess;
  /** `fetch` of a path of the private web app, through all of it. */
  fetch(path: string): Promise<Response>;
}

/** Settings beside those every process has. */
export interface Extra {
  readonly relay?: object;
  readonly all?: object;
}

/** The three configurations. */
export const writeConfigs = async (owner: LabOwner, backend: string, { relay = {}, all = {} }: Extra = {}): Promise<{ lab: Lab; port: number }> => {
  const lab = Lab.create(owner);
  lab.enrol('connector', 'connector-1', ['web']);
  lab.enrol('agent', 'alice');
  const [relayPort, port, relayHealth, connectorHealth, agentHealth] = await Promise.all([unusedPort(), unusedPort(), unusedPort(), unusedPort(), unusedPort()]);
  const relays = [{ address: `127.0.0.1:${relayPort}`, name: 'relay-1' }];
  const healthOn = (at: number): object => ({ health: { listen: `127.0.0.1:${at}` } });
  lab.writeRelay([{ allow: ['alice'], services: ['web'] }], { port: relayPort, extra: { ...all, ...relay, ...healthOn(relayHealth) } });
  lab.write('connector.yaml', stringify({ ...lab.client('connector-1'), relays, services: { web: { backend, allow: ['alice'] } }, ...all, ...healthOn(connectorHealth) }));
  lab.write('agent.yaml', stringify({ ...lab.client('alice'), relays, listeners: [{ service: 'web', listen: `127.0.0.1:${port}` }], ...all, ...healthOn(agentHealth) }));
  return { lab, port };
};

export const CONFIG = { 'intermediate-server': 'relay-1.yaml', 'app-connector': 'connector.yaml', agent: 'agent.yaml' } as const;

/** Starts all three and waits until agent and connector are registered. */
export const startPackedOverlay = async (t: Test, start: Start, extra: Extra = {}): Promise<PackedOverlay> => {
  const { address } = await startWebBackend(t);
  const { lab, port } = await writeConfigs(t, address, extra);
  const run = (program: Program, command: string): ManagedProcess => lab.keep(start(program, [command, '-c', CONFIG[program]], lab));
  const relay = run('intermediate-server', 'run');
  await relay.waitFor('listening');
  const connector = run('app-connector', 'run');
  await connector.waitFor('registered');
  const agent = run('agent', 'up');
  await agent.waitFor('registered');
  return { lab, relay, connector, agent, fetch: (path) => fetch(`http://127.0.0.1:${port}${path}`) };
};

/** Asks each to stop, clients first; resolves to their exit codes. */
export const stopInOrder = async ({ agent, connector, relay }: PackedOverlay): Promise<(number | NodeJS.Signals)[]> => {
  const codes: (number | NodeJS.Signals)[] = [];
  for (const process of [agent, connector, relay]) {
    process.child.kill('SIGTERM');
    codes.push(await process.exited);
  }
  return codes;
};
