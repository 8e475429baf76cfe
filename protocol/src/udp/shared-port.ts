// One UDP port with a socket for each worker (SO_REUSEPORT), and the program that steers packets to them. The process
// that opens it keeps every socket open: a group's members are numbered as they come and go, and while a worker is
// restarted, its packets wait in its socket instead of reaching another.

import { setTimeout as delay } from 'node:timers/promises';
import { isIPv6 } from 'node:net';
import { ZtnaError } from '../errors.js';
import { bindError } from './bind-error.js';
import type { SocketAddress } from './datagram-socket.js';
import { loadSocketCalls, systemError, type SocketCalls } from './linux-calls.js';
import { AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, NAME_BYTES, SO_ATTACH_REUSEPORT_CBPF, SO_REUSEPORT, SOCK_DGRAM_NONBLOCK_CLOEXEC, SOCK_FPROG_BYTES, SOL_SOCKET, storeWide, wordsOf } from './linux-layout.js';
import { readSockaddr, sockaddrBytes, writeSockaddr } from './sockaddr.js';
import { INSTRUCTION_BYTES, steeringProgram } from './steering-program.js';

/** Workers of a process that was killed notice within milliseconds, and only then is the port free. */
const PATIENCE_MS = 1_000;
const RETRY_MS = 50;

export interface SharedPort {
  readonly local: SocketAddress;
  /** One descriptor for each worker, in order. To be handed down to worker processes, not to be read here. */
  readonly descriptors: readonly number[];
  close(): void;
}

/**
 * Opens `workers` sockets on one address.
 *
 * @throws ZtnaError `address_in_use` when any other socket has the address, `address_invalid`, or `socket_failed`, also
 * where the platform has no such ports
 */
export const openSharedPort = async (address: SocketAddress, workers: number): Promise<SharedPort> => {
  const loaded = await loadSocketCalls();
  if (!loaded.ok) throw new ZtnaError('socket_failed', `several workers cannot share a port here: ${loaded.reason}; set workers: 1`);
  const { calls } = loaded;
  await assertFree(calls, address);
  const descriptors: number[] = [];
  const close = (): void => descriptors.splice(0).forEach((fd) => calls.close(fd));
  try {
    let local = address;
    for (let index = 0; index < workers; index++) {
      descriptors.push(openBound(calls, local, true));
      local = addressOf(calls, descriptors[0]!, address);
    }
    attach(calls, descriptors[0]!, address, workers);
    return { local, descriptors: [...descriptors], close };
  } catch (error) {
    close();
    throw error;
  }
};

/** @throws ZtnaError `socket_failed` where several workers cannot share a port */
export const assertSharedPorts = async (): Promise<void> => (await openSharedPort({ host: '127.0.0.1', port: 0 }, 2)).close();

/** Sockets with SO_REUSEPORT join whoever of the same user has the port: one without it asks first. */
const assertFree = async (calls: SocketCalls, address: SocketAddress): Promise<void> => {
  if (address.port === 0) return;
  for (let waited = 0; ; waited += RETRY_MS) {
    try {
      return void calls.close(openBound(calls, address, false));
    } catch (error) {
      if (!(error instanceof ZtnaError) || error.code !== 'address_in_use' || waited >= PATIENCE_MS) throw error;
    }
    await delay(RETRY_MS);
  }
};

const openBound = (calls: SocketCalls, address: SocketAddress, isShared: boolean): number => {
  const family = isIPv6(address.host) ? AF_INET6 : AF_INET;
  const where = `${address.host}:${address.port}`;
  const fd = calls.socket(family, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw bindError(address, systemError('socket', fd, address.host));
  const name = Buffer.allocUnsafeSlow(NAME_BYTES);
  // As for a socket of its own (socket-setup.ts): `[::]` is for both families.
  if (family === AF_INET6) calls.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, int32(0), 4);
  const shared = isShared ? calls.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, int32(1), 4) : 0;
  const bound = shared < 0 ? shared : writeSockaddr(calls, family, address, name) ? calls.bind(fd, name, sockaddrBytes(family)) : -22;
  if (bound >= 0) return fd;
  calls.close(fd);
  throw bindError(address, systemError(shared < 0 ? 'setsockopt' : 'bind', bound, where));
};

const addressOf = (calls: SocketCalls, fd: number, asked: SocketAddress): SocketAddress => {
  const name = Buffer.allocUnsafeSlow(NAME_BYTES);
  const named = calls.getsockname(fd, name, int32(NAME_BYTES));
  if (named < 0) throw bindError(asked, systemError('getsockname', named, asked.host));
  return readSockaddr(calls, name);
};

/** For the whole group, by any of its sockets. The kernel copies the program. */
const attach = (calls: SocketCalls, fd: number, address: SocketAddress, workers: number): void => {
  const program = steeringProgram(workers);
  const header = Buffer.allocUnsafeSlow(SOCK_FPROG_BYTES).fill(0);
  header.writeUInt16LE(program.length / INSTRUCTION_BYTES, 0);
  storeWide(wordsOf(header), 2, calls.addressOf(program));
  const attached = calls.setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, header, SOCK_FPROG_BYTES);
  if (attached < 0) throw bindError(address, systemError('setsockopt SO_ATTACH_REUSEPORT_CBPF', attached, `(${program.length} bytes)`));
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(4);
  bytes.writeInt32LE(value);
  return bytes;
};
