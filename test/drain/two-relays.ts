// What the drain tests share: an overlay whose clients know two relays, of which both are up.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { Lab, type RunningAgent, type ServiceConfig } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { listenersFor } from '../harness/overlay.js';

export interface TwoRelays {
  readonly lab: Lab;
  readonly relays: [ManagedProcess, ManagedProcess];
  readonly connector: ManagedProcess;
  readonly agent: RunningAgent;
  /** Starts relay `n` (0 or 1) again, where it was. */
  restart(n: 0 | 1): Promise<ManagedProcess>;
}

const NAMES = ['relay-1', 'relay-2'] as const;
/** Far beyond what a drain takes here: a test that gets near it has failed. */
export const DRAIN_TIMEOUT_MS = 60_000;

/** Relay `relay-1` and `relay-2`, connector `con-1` and agent `alice`, both with both relays in that order. */
export const startTwoRelays = async (t: Test, services: Readonly<Record<string, ServiceConfig>>): Promise<TwoRelays> => {
  const lab = Lab.create(t);
  const names = Object.keys(services);
  lab.enrol('connector', 'con-1', names);
  lab.enrol('agent', 'alice');
  const ports: [number, number] = [0, 0];
  const start = async (n: 0 | 1): Promise<ManagedProcess> => {
    const relay = await lab.startRelay([{ allow: ['alice'], services: names }], { name: NAMES[n], port: ports[n], extra: { drainTimeout: `${DRAIN_TIMEOUT_MS / 1000}s` } });
    ports[n] = lab.relayPort;
    return relay;
  };
  const relays: [ManagedProcess, ManagedProcess] = [await start(0), await start(1)];
  const extra = { relays: NAMES.map((name, n) => ({ name, address: `127.0.0.1:${String(ports[n])}` })) };
  const connector = await lab.startConnector('con-1', services, extra);
  const agent = await lab.startAgent('alice', listenersFor(services), extra);
  const restart = async (n: 0 | 1): Promise<ManagedProcess> => (relays[n] = await start(n));
  return { lab, relays, connector, agent, restart };
};

/** SIGTERM; resolves with the exit code and how long it took. */
export const drain = async (relay: ManagedProcess): Promise<{ exit: number | NodeJS.Signals; tookMs: number }> => {
  const started = performance.now();
  relay.child.kill('SIGTERM');
  const exit = await relay.exited;
  return { exit, tookMs: performance.now() - started };
};

/** Sends a line and resolves when it has come back. */
export const echo = async (socket: Socket, line: string): Promise<string> => {
  const answered = once(socket, 'data', { signal: AbortSignal.timeout(20_000) });
  socket.write(line);
  return String((await answered)[0]);
};
