// Transfers that are given up, or never read, must not use up what the other flows of the agent need.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { startOverlay, type Overlay } from '../harness/overlay.js';
import { whenHalted } from '../harness/progress.js';
import { startTcpBackend, type TcpBackend } from '../harness/tcp.js';

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(MIB, 7);

/** Sends as many MiB as the first byte it receives says, as fast as it may. */
const pour = (socket: Socket): void =>
  void socket.once('data', ([megabytes]: Buffer) => {
    let left = megabytes!;
    const more = (): void => {
      while (left-- > 0) if (!socket.write(CHUNK)) return void socket.once('drain', more);
      socket.end();
    };
    more();
  });

const setUp = async (t: Test): Promise<{ overlay: Overlay; backend: TcpBackend }> => {
  const backend = await startTcpBackend(t, pour);
  return { backend, overlay: await startOverlay(t, { pour: { backend: backend.address } }) };
};

const request = async (t: Test, { agent }: Overlay, megabytes: number): Promise<Socket> => {
  const socket = connect(agent.port('pour'), '127.0.0.1');
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(Buffer.of(megabytes));
  return socket;
};

/** Readers that have stopped, once everything on the way to them stands still. */
const stall = async (t: Test, { overlay, backend }: Awaited<ReturnType<typeof setUp>>, count: number): Promise<Socket[]> => {
  const sockets = await Promise.all(Array.from({ length: count }, () => request(t, overlay, 200)));
  for (const socket of sockets) socket.pause();
  await whenHalted(() => backend.accepted.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0));
  return sockets;
};

const download = async (t: Test, overlay: Overlay, megabytes: number): Promise<number> => {
  let received = 0;
  const socket = await request(t, overlay, megabytes);
  socket.on('data', (chunk: Buffer) => (received += chunk.length));
  await once(socket, 'end', { signal: AbortSignal.timeout(30_000) });
  return received;
};

t.test('readers that have stopped, and then vanish, leave the others their way', async (t) => {
  const scene = await setUp(t);
  const stalled = await stall(t, scene, 16);
  t.equal(await download(t, scene.overlay, 64), 64 * MIB, 'past sixteen that have stopped');
  for (const socket of stalled) socket.resetAndDestroy();
  t.equal(await download(t, scene.overlay, 64), 64 * MIB, 'after they are gone');
  t.same(await Promise.all([scene.overlay.connector.stop(), scene.overlay.agent.process.stop()]), [0, 0], 'and both stop when asked');
});

t.test('thirty downloads given up at full speed are not counted against what follows', async (t) => {
  const { overlay } = await setUp(t);
  for (let round = 0; round < 30; round++) {
    const socket = await request(t, overlay, 100);
    let received = 0;
    await new Promise<void>((resolve) => socket.on('data', (chunk: Buffer) => ((received += chunk.length) >= MIB ? resolve() : undefined)));
    socket.destroy();
  }
  t.equal(await download(t, overlay, 32), 32 * MIB);
});
