// Does batched UDP really work in this process? Two packets in one run to itself over loopback, once: containers may
// filter the system calls, and what is read of the kernel's structures has to mean what we think it does.

import { BatchedSocket } from './batched-socket.js';
import type { SocketCalls } from './linux-calls.js';
import { openBoundSocket } from './socket-setup.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 } as const;
/** Loopback delivers within the call; this is for a machine that is busy beyond reason. */
const PATIENCE_MS = 1000;
const SEGMENT = 3;
const RUN = Buffer.from('abcde');

const verdicts = new WeakMap<SocketCalls, Promise<string | undefined>>();

/** Undefined when it works, otherwise why not. Tested once per set of calls. */
export const testBatchedSocket = (calls: SocketCalls): Promise<string | undefined> => {
  let verdict = verdicts.get(calls);
  if (!verdict) verdicts.set(calls, (verdict = runTest(calls)));
  return verdict;
};

const runTest = async (calls: SocketCalls): Promise<string | undefined> => {
  let socket: BatchedSocket | undefined;
  try {
    socket = new BatchedSocket(calls, openBoundSocket(calls, LOOPBACK));
    const received = await sendToSelf(socket);
    return received === 'abc de' ? undefined : `a test over loopback brought '${received}' instead of 'abc de'`;
  } catch (error) {
    return `a test over loopback failed: ${(error as Error).message}`;
  } finally {
    await socket?.close();
  }
};

const sendToSelf = (socket: BatchedSocket): Promise<string> =>
  new Promise((resolve) => {
    const packets: string[] = [];
    const { host, port } = socket.local;
    const done = (): void => {
      clearTimeout(timer);
      resolve(packets.join(' '));
    };
    const timer = setTimeout(done, PATIENCE_MS);
    socket.start({
      onPacket: (packet, fromHost, fromPort) => {
        // Anyone on this machine may send here; only what came from itself counts.
        if (fromHost === host && fromPort === port) packets.push(packet.toString('latin1'));
      },
      onBatchEnd: () => {
        if (packets.length >= 2) done();
      },
    });
    socket.sendRun(RUN, RUN.length, SEGMENT, host, port);
  });
