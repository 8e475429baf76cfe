// The two fixed ports, tried before anything is started, so that a port in use is one clear sentence instead of a
// child's crash.

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { errorCode, QuickstartFailure } from './failure.js';

const HOST = '127.0.0.1';

/** @throws QuickstartFailure naming the port and the option that changes it */
export const assertPortsFree = async ({ port, relayPort }: { port: number; relayPort: number }): Promise<void> => {
  await bindTcp(port).catch((error: unknown) => Promise.reject(portFailure('TCP', port, '--port', error)));
  await bindUdp(relayPort).catch((error: unknown) => Promise.reject(portFailure('UDP', relayPort, '--relay-port', error)));
};

const bindTcp = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, HOST, () => server.close(() => resolve()));
  });

const bindUdp = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, HOST, () => socket.close(resolve));
  });

const portFailure = (protocol: string, port: number, option: string, error: unknown): QuickstartFailure => {
  const next = port < 65535 && port > 1023 ? port + 1 : 8081;
  const why = { EADDRINUSE: 'is in use by another program', EACCES: 'needs more rights than you have' }[errorCode(error) ?? ''];
  return new QuickstartFailure(
    `${protocol} port ${port} on ${HOST} ${why ?? `cannot be used (${errorCode(error) ?? String(error)})`}. Choose another, such as:\n  npm run quickstart -- ${option} ${next}`,
  );
};
