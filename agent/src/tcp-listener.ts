// A loopback TCP port that leads to one service: each accepted connection becomes one flow.

import { createServer, type Server, type Socket } from 'node:net';
import { abortSocket, formatAddress, splice, ZtnaError, type Logger, type SocketAddress } from '@ztna/protocol';
import type { Agent } from './agent.js';

export interface Listener {
  readonly local: SocketAddress;
  close(): Promise<void>;
}

export interface ListenerInit {
  readonly agent: Agent;
  readonly service: string;
  readonly listen: SocketAddress;
  readonly log: Logger;
}

/** @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed` */
export const openTcpListener = (init: ListenerInit): Promise<Listener> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    // pauseOnConnect: nothing is read before the flow has room for it.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      startFlow(init, socket);
    });
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(init.listen, 'TCP', cause)));
    server.listen(init.listen.port, init.listen.host, () => resolve(toListener(server, sockets)));
  });

const startFlow = ({ agent, service, log }: ListenerInit, socket: Socket): void => {
  const abort = (): void => abortSocket(socket);
  // Replaced by the splice; until then a client that gives up must not crash us.
  socket.on('error', () => socket.destroy());
  agent.openFlow(service, 'tcp', {
    onOpen: (stream, gate, record) => {
      if (socket.destroyed) {
        record.end('flow_reset');
        return stream.abort('flow_reset');
      }
      record.progress = splice({
        stream,
        gate,
        local: { readable: socket, writable: socket, abort },
        onDone: ({ code, bytesSent, bytesReceived }) => {
          record.end(code, { bytesSent, bytesReceived });
          log.debug('flow_closed', { service, ...(code ? { code } : {}), bytesSent, bytesReceived });
        },
      });
      socket.resume();
    },
    onRefused: (code, reason) => {
      log.warn('flow_refused', { service, code, reason });
      abort();
    },
  });
};

const toListener = (server: Server, sockets: Set<Socket>): Listener => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has an address');
  return {
    local: { host: address.address, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // Not destroy(): its FIN would pass a transfer that was cut off as one that is complete.
        for (const socket of sockets) abortSocket(socket);
      }),
  };
};

export const listenError = (address: SocketAddress, protocol: 'TCP' | 'UDP', cause: NodeJS.ErrnoException): ZtnaError => {
  const where = `${protocol} ${formatAddress(address)}`;
  if (cause.code === 'EADDRINUSE')
    return new ZtnaError('address_in_use', `${where} is already in use: stop the other process or choose another port`, { cause });
  if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND')
    return new ZtnaError('address_invalid', `${where} is not an address of this machine`, { cause });
  return new ZtnaError('socket_failed', `cannot listen on ${where}: ${cause.message}`, { cause });
};
