// An ordinary user while others misbehave: one TCP connection through agent, relay and connector to an
// echo server, open for the whole test. Owns the echo server and the connection; the processes are the lab's.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { Lab, PolicyRule } from './lab.js';
import type { ManagedProcess } from './managed-process.js';

const ECHO_TIMEOUT_MS = 20_000;

export class InnocentFlow {
  readonly #socket: Socket;
  #count = 0;
  #received = '';

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => (this.#received += text));
    // A flow cut off between two round trips shows in the next one.
    socket.on('error', () => undefined);
  }

  /** Sends a line nobody sent before and resolves when it has come back. */
  async roundTrip(): Promise<void> {
    if (this.#socket.destroyed) throw new Error('the innocent flow was cut off');
    const line = `line ${++this.#count}\n`;
    this.#socket.write(line);
    const signal = AbortSignal.timeout(ECHO_TIMEOUT_MS);
    while (!this.#received.includes(line)) await once(this.#socket, 'data', { signal });
    this.#received = '';
  }

  close(): void {
    this.#socket.destroy();
  }
}

export interface InnocentLab {
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly agent: ManagedProcess;
  readonly flow: InnocentFlow;
  /** Port of the echo server. */
  readonly echoPort: number;
  /** Times the echo server was connected to. */
  readonly backendConnections: () => number;
}

/**
 * Relay `relay-1`, connector `con-1` for the service `web` (an echo server) and agent `alice` with a flow to
 * it. Enrol others before: the keyring is written when the relay starts.
 */
export const startInnocentLab = async (t: Test, lab: Lab, policy: readonly PolicyRule[] = [{ allow: ['alice'], services: ['web'] }]): Promise<InnocentLab> => {
  const { server, port: echoPort, connections } = await startEcho(t);
  lab.enrol('agent', 'alice');
  lab.enrol('connector', 'con-1', ['web']);
  const relay = await lab.startRelay(policy);
  const connector = await lab.startConnector('con-1', { web: { backend: `127.0.0.1:${echoPort}` } });
  const alice = await lab.startAgent('alice', [{ service: 'web' }]);
  const socket = connect(alice.port('web'), '127.0.0.1');
  await once(socket, 'connect');
  const flow = new InnocentFlow(socket);
  t.teardown(() => {
    flow.close();
    server.close();
  });
  await flow.roundTrip();
  return { relay, connector, agent: alice.process, flow, echoPort, backendConnections: connections };
};

/** Echoes what it is sent, on loopback only. */
export const startEcho = async (t: Test): Promise<{ server: Server; port: number; connections: () => number }> => {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.on('error', () => socket.destroy());
    t.teardown(() => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  t.teardown(() => void server.close());
  return { server, port: address.port, connections: () => count };
};
