// A sender pushes up to 1 GiB at a reader that has stopped: nobody's memory grows beyond 64 MiB, then or
// after, and every byte arrives once the reader goes on.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import t, { type Test } from 'tap';
import type { ManagedProcess } from '../harness/managed-process.js';
import { startOverlay, type Overlay } from '../harness/overlay.js';
import { Digest, patternDigest, patternStream } from '../harness/pattern.js';
import { MemoryWatch, whenHalted } from '../harness/progress.js';
import { openTcp, startTcpBackend } from '../harness/tcp.js';

const MIB = 1024 * 1024;
const DOWN_BYTES = 1024 * MIB;
/** The other way is the same code with the ends swapped; a third of the bytes still is many times the bound. */
const UP_BYTES = 320 * MIB;
/** The bound of the growth of each process. */
const MAX_GROWTH_BYTES = 64 * MIB;
/** Kernel buffers of two TCP connections and one stream window: what may be under way while the reader stands still. */
const MAX_UNDER_WAY_BYTES = 64 * MIB;

const backend = await startTcpBackend(t);
const overlay = await startOverlay(t, { bulk: { backend: backend.address } });

t.test('a download of 1 GiB halts with its reader, costs no memory, and completes intact', async (t) => {
  const arriving = backend.next();
  const reader = await openTcp(t, overlay.agent.port('bulk'));
  await checkStall(t, await arriving, reader, 21, DOWN_BYTES);
});

t.test('an upload of 320 MiB halts with its backend, costs no memory, and completes intact', async (t) => {
  const arriving = backend.next();
  const sender = await openTcp(t, overlay.agent.port('bulk'));
  await checkStall(t, sender, await arriving, 22, UP_BYTES);
});

async function checkStall(t: Test, sender: Socket, reader: Socket, seed: number, bytes: number): Promise<void> {
  reader.pause();
  const watch = new MemoryWatch(processesOf(overlay));
  const sending = pipeline(patternStream(seed, bytes), sender, { end: true });
  const underWay = await whenHalted(() => sender.bytesWritten - sender.writableLength);
  t.ok(underWay < MAX_UNDER_WAY_BYTES, `the sender was held back at ${mib(underWay)} MiB`);
  checkGrowth(t, watch, 'while the reader stands still');
  const digest = new Digest();
  const started = performance.now();
  reader.on('data', digest.update).resume();
  await Promise.all([sending, once(reader, 'end')]);
  reader.end();
  t.comment(`resumed at ${Math.round(bytes / MIB / ((performance.now() - started) / 1000))} MiB/s`);
  t.same({ bytes: digest.bytes, sha256: digest.value() }, { bytes, sha256: patternDigest(seed, bytes) }, 'all of it arrived');
  checkGrowth(t, watch, 'over the whole transfer');
  watch.stop();
}

function checkGrowth(t: Test, watch: MemoryWatch, when: string): void {
  for (const [name, bytes] of watch.growth()) t.ok(bytes < MAX_GROWTH_BYTES, `the ${name} grew by ${mib(bytes)} MiB ${when}`);
}

function processesOf({ relay, connector, agent }: Overlay): Record<string, ManagedProcess> {
  return { relay, connector, agent: agent.process };
}

function mib(bytes: number): number {
  return Math.round((bytes / MIB) * 10) / 10;
}
