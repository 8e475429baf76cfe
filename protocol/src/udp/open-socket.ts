// Opens the best UDP socket the platform has, and says which it is and why.

import { ZtnaError } from '../errors.js';
import { BatchedSocket } from './batched-socket.js';
import type { SocketAddress, UdpSocket } from './datagram-socket.js';
import { loadSocketCalls, type LoadedCalls } from './linux-calls.js';
import { adoptPlainSocket, openPlainSocket } from './plain-socket.js';
import { openBoundSocket, prepareSocket } from './socket-setup.js';
import { testBatchedSocket } from './socket-self-test.js';

/** `auto` takes the batched socket wherever it works; the others are for comparison and for trouble. */
export const UDP_MODES = ['auto', 'batched', 'plain'] as const;
export type UdpMode = (typeof UDP_MODES)[number];

/**
 * Binds a UDP socket. An IPv6 wildcard (`::`) also takes IPv4.
 *
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`; the last also for mode `batched` where that does not work
 */
export const openDatagramSocket = async (address: SocketAddress, { mode }: { readonly mode: UdpMode }): Promise<UdpSocket> => {
  if (mode === 'plain') return openPlainSocket(address, 'configured');
  const loaded = await loadWorkingCalls();
  if (loaded.ok) return new BatchedSocket(loaded.calls, openBoundSocket(loaded.calls, address));
  const { reason } = loaded;
  if (mode === 'batched') throw new ZtnaError('socket_failed', `batched UDP does not work here: ${reason}; use udp: auto`);
  return openPlainSocket(address, reason);
};

/**
 * Takes over a bound socket that another process has opened and handed down, such as one of a shared port (shared-port.ts).
 *
 * @param address what it was to be bound to, for messages
 * @throws ZtnaError `socket_failed`
 */
export const adoptDatagramSocket = async (fd: number, address: SocketAddress, { mode }: { readonly mode: UdpMode }): Promise<UdpSocket> => {
  if (mode === 'plain') return adoptPlainSocket(fd, address, 'configured');
  const loaded = await loadWorkingCalls();
  if (loaded.ok) return new BatchedSocket(loaded.calls, prepareSocket(loaded.calls, fd, address));
  const { reason } = loaded;
  if (mode === 'batched') throw new ZtnaError('socket_failed', `batched UDP does not work here: ${reason}; use udp: auto`);
  return adoptPlainSocket(fd, address, reason);
};

/** The system calls, once they have been seen to work. */
const loadWorkingCalls = async (): Promise<LoadedCalls> => {
  const loaded = await loadSocketCalls();
  if (!loaded.ok) return loaded;
  const reason = await testBatchedSocket(loaded.calls);
  return reason === undefined ? loaded : { ok: false, reason };
};

/** What logs say of a socket: `udp`, and where there is something to say, `udpReason` and `udpHint`. */
export const describeUdp = ({ kind, reason, bufferHint }: Pick<UdpSocket, 'kind' | 'reason' | 'bufferHint'>): Record<string, string> => ({
  udp: kind,
  ...(reason !== undefined && { udpReason: reason }),
  ...(bufferHint !== undefined && { udpHint: bufferHint }),
});

/**
 * The same for sockets yet to be opened, found out with one on loopback.
 *
 * @throws ZtnaError `socket_failed` for mode `batched` where that does not work
 */
export const probeUdp = async (mode: UdpMode): Promise<Record<string, string>> => {
  const socket = await openDatagramSocket({ host: '127.0.0.1', port: 0 }, { mode });
  await socket.close();
  return describeUdp(socket);
};
