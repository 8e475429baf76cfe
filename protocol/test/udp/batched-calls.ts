// The system calls for tests of the batched socket, and why there are none on this machine.

import { BatchedSocket, loadSocketCalls, openBoundSocket, type SocketAddress, type SocketCalls } from '@ztna/protocol';

const loaded = await loadSocketCalls();

/** For the `skip` of tests: false where batched sockets work. */
export const noBatchedSockets: string | false = loaded.ok ? false : loaded.reason;

/** @throws Error where there are none: skip by `noBatchedSockets` */
export const socketCalls = (): SocketCalls => {
  if (!loaded.ok) throw new Error(loaded.reason);
  return loaded.calls;
};

export const openBatchedSocket = async (address: SocketAddress, calls = socketCalls()): Promise<BatchedSocket> =>
  new BatchedSocket(calls, openBoundSocket(calls, address));
