// TCP ends for tests: a scripted backend, and a client that reads what comes and how it ends.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';
import { wasReset } from '@ztna/protocol';

export interface TcpBackend {
  /** host:port, for a connector's configuration. */
  readonly address: string;
  readonly port: number;
  /** Connections accepted so far, in order. */
  readonly accepted: readonly Socket[];
  /** The next connection to be accepted: ask before the client connects, or it may have come and gone. */
  next(): Promise<Socket>;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

export interface TcpBackendOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** What the address says instead of `host`, such as a DNS name. */
  readonly name?: string;
}

/** Starts a backend on a port of its own; it ends with the test. Errors of its sockets are for `onConnection` to see. */
export const startTcpBackend = async (t: Test, onConnection: (socket: Socket) => void = () => undefined, { host = '127.0.0.1', port: wanted = 0, name }: TcpBackendOptions = {}): Promise<TcpBackend> => {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined); // tests listen for what they expect
    onConnection(socket);
  });
  server.listen(wanted, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const shown = name ?? (host.includes(':') ? `[${host}]` : host);
  const close = (): Promise<void> => {
    for (const socket of accepted) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  t.teardown(close);
  return { address: `${shown}:${port}`, port, accepted, close, next: async () => ((await once(server, 'connection')) as [Socket])[0] };
};

/** A backend that sends everything back, and its FIN after the client's. */
export const startEchoBackend = (t: Test, options: TcpBackendOptions = {}): Promise<TcpBackend> =>
  startTcpBackend(t, (socket) => void socket.pipe(socket), options);

/** A backend that answers every request, once it has ended, with the same text. */
export const startTaggedBackend = (t: Test, tag: string): Promise<TcpBackend> =>
  startTcpBackend(t, (socket) => void socket.resume().once('end', () => socket.end(tag)));

/** A port of the loopback address where nobody listens. */
export const unusedPort = async (): Promise<number> => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

/** Of sockets that were reset as soon as they were connected. */
const resets = new WeakSet<Socket>();

/** A connected client whose errors wait for `outcome`, one of them being reset at once. Half-open; destroyed with the test. */
export const openTcp = async (t: Test, port: number, host = '127.0.0.1'): Promise<Socket> => {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  t.teardown(() => socket.destroy());
  try {
    await once(socket, 'connect');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    resets.add(socket);
  }
  socket.on('error', () => undefined);
  return socket;
};

export interface Outcome {
  readonly received: Buffer;
  /** `end` for a FIN, an errno name such as ECONNRESET otherwise. */
  readonly ending: string;
}

/** Reads until the other side ends; a paused socket goes on. */
export const outcome = (socket: Socket): Promise<Outcome> =>
  new Promise((resolve) => {
    if (resets.has(socket)) return resolve({ received: Buffer.alloc(0), ending: 'ECONNRESET' });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const finish = (ending: string): void => resolve({ received: Buffer.concat(chunks), ending });
    socket.once('end', () => {
      // A reset that came with data looks like an end to Node.
      finish(wasReset(socket) ? 'ECONNRESET' : 'end');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    socket.once('close', () => finish('close'));
    socket.resume();
  });

/** One request, half-closed after it, and everything that comes back. A flow refused at once may end before its connection stands. */
export const exchange = async (t: Test, port: number, request: Buffer | string, host = '127.0.0.1'): Promise<Outcome> => {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true });
  t.teardown(() => socket.destroy());
  const over = outcome(socket);
  socket.end(request);
  const seen = await over;
  socket.destroy();
  return seen;
};

/** Resolves when a socket is gone, in whichever way. */
export const closed = (socket: Socket): Promise<void> =>
  socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));
