// Flows of one agent and service share one inner connection: ones whose readers stand still must not
// hold up the others, whichever way the bytes go and however much crossed the connection before.

import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { patternBytes, patternStream } from '../harness/pattern.js';
import { whenHalted } from '../harness/progress.js';
import { exchange, openTcp, outcome, startTcpBackend } from '../harness/tcp.js';

const MIB = 1024 * 1024;
const STALLED_FLOWS = 8;
/** More than any window, so that a stalled flow stays full. */
const STALLED_BYTES = 16 * MIB;
/** More than the connection's window, so that windows have moved on from where they began. */
const WARM_UP_BYTES = 32 * MIB;

// The first byte says what a connection is for: D download and stand still, U upload and stand still,
// E echo.
const stalledUploads: Socket[] = [];
const backend = await startTcpBackend(t, (socket) => {
  socket.once('data', (chunk: Buffer) => {
    socket.pause();
    if (chunk[0] === 0x44) patternStream(chunk[1]!, STALLED_BYTES).pipe(socket);
    else if (chunk[0] === 0x55) {
      socket.unshift(chunk.subarray(1));
      stalledUploads.push(socket);
    } else {
      socket.write(chunk.subarray(1));
      socket.pipe(socket);
    }
  });
});
const { agent } = await startOverlay(t, { app: { backend: backend.address } });
const port = agent.port('app');

t.test(`${STALLED_FLOWS} stalled downloads leave other flows their way`, async (t) => {
  await warmUp(t);
  const readers: Socket[] = [];
  for (let seed = 1; seed <= STALLED_FLOWS; seed++) {
    const reader = await openTcp(t, port);
    reader.pause();
    reader.write(Buffer.from([0x44, seed]));
    readers.push(reader);
  }
  await whenHalted(() => backend.accepted.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0));
  await echoes(t, 'past stalled downloads');
  const all = await Promise.all(readers.map(outcome));
  t.ok(all.every(({ received }, i) => received.equals(patternBytes(i + 1, STALLED_BYTES))), 'the stalled ones complete once read');
});

t.test(`${STALLED_FLOWS} stalled uploads leave other flows their way`, async (t) => {
  await warmUp(t);
  const senders: Socket[] = [];
  for (let seed = 1; seed <= STALLED_FLOWS; seed++) {
    const sender = await openTcp(t, port);
    sender.write(Buffer.from([0x55]));
    patternStream(seed, STALLED_BYTES).pipe(sender);
    senders.push(sender);
  }
  await whenHalted(() => senders.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0));
  t.equal(stalledUploads.length, STALLED_FLOWS, 'every flow reached the backend');
  await echoes(t, 'past stalled uploads');
  const received = await Promise.all(stalledUploads.map(outcome));
  for (const sender of senders) sender.destroy();
  const firstBlocks = new Set(received.map((one) => one.received.subarray(0, 16).toString('hex')));
  t.ok(received.every((one) => one.received.length === STALLED_BYTES), 'the stalled ones complete once read');
  t.equal(firstBlocks.size, STALLED_FLOWS, 'each with its own content');
});

async function warmUp(t: Test): Promise<void> {
  const bytes = patternBytes(99, WARM_UP_BYTES);
  const { received } = await exchange(t, port, Buffer.concat([Buffer.from('E'), bytes]));
  t.ok(received.equals(bytes), 'windows have moved in both directions');
}

async function echoes(t: Test, how: string): Promise<void> {
  const bytes = patternBytes(77, 4 * MIB);
  const socket = await openTcp(t, port);
  const started = performance.now();
  const over = outcome(socket);
  socket.end(Buffer.concat([Buffer.from('E'), bytes]));
  const timer = setTimeout(() => socket.destroy(), 20_000);
  const { received } = await over;
  clearTimeout(timer);
  t.comment(`4 MiB echo ${how} in ${Math.round(performance.now() - started)} ms`);
  t.ok(received.equals(bytes), `4 MiB there and back ${how}; ${received.length} bytes came`);
  socket.destroy();
}
