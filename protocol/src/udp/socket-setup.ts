// Makes and binds a UDP socket through the system calls, with large buffers and the offloads the kernel has.

import { isIPv6 } from 'node:net';
import { bindError } from './bind-error.js';
import type { SocketAddress } from './datagram-socket.js';
import { systemError, type SocketCalls } from './linux-calls.js';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  NAME_BYTES,
  SO_ERROR,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_DGRAM_NONBLOCK_CLOEXEC,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from './linux-layout.js';
import { readSockaddr, sockaddrBytes, writeSockaddr } from './sockaddr.js';
import { bufferHint, SOCKET_BUFFER_BYTES } from './socket-buffers.js';

export interface OpenedSocket {
  readonly fd: number;
  readonly family: number;
  readonly local: SocketAddress;
  /** The kernel knows UDP_SEGMENT (Linux 4.18). */
  readonly canSegment: boolean;
  readonly bufferHint: string | undefined;
}

/** @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed` */
export const openBoundSocket = (calls: SocketCalls, address: SocketAddress): OpenedSocket => {
  const family = isIPv6(address.host) ? AF_INET6 : AF_INET;
  const fd = calls.socket(family, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw bindError(address, systemError('socket', fd, address.host));
  try {
    return bindSocket(calls, fd, family, address);
  } catch (error) {
    calls.close(fd);
    throw error;
  }
};

const bindSocket = (calls: SocketCalls, fd: number, family: number, address: SocketAddress): OpenedSocket => {
  // Also IPv4, whatever net.ipv6.bindv6only says: `[::]:4433` is for both.
  if (family === AF_INET6) setOption(calls, fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const name = Buffer.allocUnsafeSlow(NAME_BYTES);
  const where = `${address.host}:${address.port}`;
  if (!writeSockaddr(calls, family, address, name)) throw bindError(address, systemError('bind', -22, where));
  const bound = calls.bind(fd, name, sockaddrBytes(family));
  if (bound < 0) throw bindError(address, systemError('bind', bound, where));
  return prepareSocket(calls, fd, address);
};

/**
 * Makes a bound socket what a batched one needs, also one that another process has bound and handed down.
 *
 * @param asked what it was to be bound to, for messages
 * @throws ZtnaError `socket_failed` for a descriptor that is no socket
 */
export const prepareSocket = (calls: SocketCalls, fd: number, asked: SocketAddress): OpenedSocket => {
  const receive = enlarge(calls, fd, SO_RCVBUF, SO_RCVBUFFORCE);
  const send = enlarge(calls, fd, SO_SNDBUF, SO_SNDBUFFORCE);
  // Linux 5.0; before it packets simply come one by one.
  setOption(calls, fd, SOL_UDP, UDP_GRO, 1);
  const name = Buffer.allocUnsafeSlow(NAME_BYTES);
  const named = calls.getsockname(fd, name, int32(NAME_BYTES));
  if (named < 0) throw bindError(asked, systemError('getsockname', named, asked.host));
  const local = readSockaddr(calls, name);
  return {
    fd,
    family: isIPv6(local.host) ? AF_INET6 : AF_INET,
    local,
    canSegment: getOption(calls, fd, SOL_UDP, UDP_SEGMENT) >= 0,
    bufferHint: bufferHint(receive, send),
  };
};

/** The pending error as a positive errno, 0 for none; it is cleared. */
export const readSocketError = (calls: SocketCalls, fd: number): number => getOption(calls, fd, SOL_SOCKET, SO_ERROR);

/** Past the system's cap where the process may, up to it elsewhere. Returns what the kernel says it is. */
const enlarge = (calls: SocketCalls, fd: number, name: number, force: number): number => {
  if (setOption(calls, fd, SOL_SOCKET, force, SOCKET_BUFFER_BYTES) < 0) setOption(calls, fd, SOL_SOCKET, name, SOCKET_BUFFER_BYTES);
  return getOption(calls, fd, SOL_SOCKET, name);
};

const setOption = (calls: SocketCalls, fd: number, level: number, name: number, value: number): number =>
  calls.setsockopt(fd, level, name, int32(value), 4);

const getOption = (calls: SocketCalls, fd: number, level: number, name: number): number => {
  const value = int32(0);
  const result = calls.getsockopt(fd, level, name, value, int32(4));
  return result < 0 ? result : value.readInt32LE();
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(4);
  bytes.writeInt32LE(value);
  return bytes;
};
