// A relay with two workers, a connector that is registered with both, and agents on either. And what tests want to know
// of worker processes.

import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import { Lab, type RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { CONNECTOR } from '../harness/overlay.js';
import { startEchoBackend, unusedPort } from '../harness/tcp.js';

export const WORKERS = 2;
/** All on one worker once in 2 000 runs. */
const MAX_AGENTS = 12;

export interface WorkerLab {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  /** One agent on each worker, by the worker's number. */
  readonly agents: readonly RunningAgent[];
  /** Their names. */
  readonly names: readonly string[];
  readonly healthPort: number;
}

export const startWorkerLab = async (t: Test, relayExtra: object = {}): Promise<WorkerLab> => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  const all = Array.from({ length: MAX_AGENTS }, (_, n) => `agent-${n}`);
  lab.enrol('connector', CONNECTOR, ['echo']);
  for (const name of all) lab.enrol('agent', name);
  lab.write('deny.yaml', 'identities: []\n');
  const healthPort = await unusedPort();
  const extra = { workers: WORKERS, denyList: 'deny.yaml', health: { listen: `127.0.0.1:${healthPort}` }, ...relayExtra };
  const relay = await lab.startRelay([{ allow: all, services: ['echo'] }], { extra });
  const connector = await lab.startConnector(CONNECTOR, { echo: { backend: backend.address } });
  for (let worker = 0; worker < WORKERS; worker++) await connector.waitFor('registered', { worker });
  const agents: RunningAgent[] = [];
  const names: string[] = [];
  for (const name of all) {
    const agent = await lab.startAgent(name, [{ service: 'echo' }]);
    const { worker } = await agent.process.waitFor('registered');
    if (agents[Number(worker)]) await agent.process.stop();
    agents[Number(worker)] ??= agent;
    names[Number(worker)] ??= name;
    if (agents.filter(Boolean).length === WORKERS) return { lab, relay, connector, agents, names, healthPort };
  }
  throw new Error(`${MAX_AGENTS} agents came to one worker`);
};

/** A flow that has carried bytes both ways. */
export const openFlow = async (t: Test, agent: RunningAgent): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port: agent.port('echo'), noDelay: true });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await echo(socket, 'hello');
  return socket;
};

/** Rejects when something else comes back. Do not wait for it on a flow that was cut. */
export const echo = async (socket: Socket, text: string): Promise<void> => {
  socket.write(text);
  const [reply] = (await once(socket, 'data')) as [Buffer];
  if (reply.toString() !== text) throw new Error(`echo said ${reply.toString()}`);
};

/** Process ids of a relay's workers, by number. */
export const workerPids = (relay: ManagedProcess): number[] => {
  const pids: number[] = [];
  for (const pid of childrenOf(relay.pid)) {
    const [, , , index] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    pids[Number(index)] = pid;
  }
  return pids;
};

/** Whether a process of that id runs; a zombie does not. */
export const isRunning = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
