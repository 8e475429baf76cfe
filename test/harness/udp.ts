// UDP ends for tests: an echo backend that remembers who spoke, and a client that asks and waits.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Test } from 'tap';

/** UDP may lose a datagram even on loopback; whoever waits longer has lost it. */
const REPLY_TIMEOUT_MS = 2_000;
const ATTEMPTS = 10;

export interface UdpBackend {
  /** host:port */
  readonly address: string;
  readonly socket: Socket;
  /** Ports the datagrams came from: one for each flow. */
  readonly sources: ReadonlySet<number>;
}

/** Sends everything back to where it came from, or what `reply` makes of it. */
export const startUdpBackend = async (t: Test, { host = '127.0.0.1', reply = (payload: Buffer): Buffer => payload } = {}): Promise<UdpBackend> => {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  const sources = new Set<number>();
  socket.on('message', (payload, from) => {
    sources.add(from.port);
    socket.send(reply(payload), from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const { port } = socket.address();
  return { address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, socket, sources };
};

/** A client on a port of its own, closed with the test. */
export class UdpClient {
  readonly received: Buffer[] = [];
  readonly #socket: Socket;
  readonly #server: { port: number; host: string };

  private constructor(socket: Socket, port: number, host: string) {
    this.#socket = socket;
    this.#server = { port, host };
    socket.on('message', (payload) => this.received.push(payload));
  }

  static async open(t: Test, port: number, host = '127.0.0.1'): Promise<UdpClient> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    t.teardown(() => socket.close());
    return new UdpClient(socket, port, host);
  }

  send(payload: Buffer): void {
    this.#socket.send(payload, this.#server.port, this.#server.host);
  }

  /** Sends and waits for the next datagram, sending again as UDP programs do. Undefined when none comes. */
  async ask(payload: Buffer): Promise<Buffer | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const reply = once(this.#socket, 'message', { signal: AbortSignal.timeout(REPLY_TIMEOUT_MS) }) as Promise<[Buffer, RemoteInfo]>;
      this.send(payload);
      const heard = await reply.catch(() => undefined);
      if (heard) return heard[0];
    }
    return undefined;
  }
}
