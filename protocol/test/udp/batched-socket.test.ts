// The socket over Linux's batched system calls: what all sockets do, and what the kernel may refuse.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { SocketCalls } from '@ztna/protocol';
import { noBatchedSockets, openBatchedSocket, socketCalls } from './batched-calls.js';
import { DatagramCollector, patterned } from './datagram-collector.js';
import { checkDatagramSocket } from './datagram-socket-compliance.js';

const V4 = { host: '127.0.0.1', port: 0 };
const [EPERM, EINTR, EIO, EAGAIN, EINVAL, EMSGSIZE, ENOBUFS, ECONNREFUSED] = [1, 4, 5, 11, 22, 90, 105, 111];

t.test('is a datagram socket', { skip: noBatchedSockets }, async (t) => checkDatagramSocket(t, openBatchedSocket));

t.test('what the kernel refuses', { skip: noBatchedSockets }, async (t) => {
  /** A sender whose calls fail as told, and a receiver that is told nothing. */
  const pair = async (t: Test, overrides: (real: SocketCalls) => Partial<SocketCalls>) => {
    const real = socketCalls();
    const sender = await openBatchedSocket(V4, { ...real, ...overrides(real) });
    const receiver = await openBatchedSocket(V4);
    t.teardown(() => Promise.all([sender.close(), receiver.close()]));
    return { sender, received: DatagramCollector.on(receiver), to: receiver.local };
  };

  for (const errno of [EINVAL, EIO, EMSGSIZE])
    t.test(`segmentation refused with errno ${errno} is not tried again, and nothing is lost`, async (t) => {
      const seen: string[] = [];
      const { sender, received, to } = await pair(t, (real) => ({
        sendmsg: () => (seen.push('sendmsg'), -errno),
        sendmmsg: (fd, headers, count, flags) => (seen.push(`sendmmsg ${count}`), real.sendmmsg(fd, headers, count, flags)),
      }));
      const run = patterned(5500);
      for (let i = 0; i < 2; i++) sender.sendRun(run, 5500, 1000, to.host, to.port);
      await received.until(12);
      t.ok(Buffer.concat(received.packets.slice(6).map(({ bytes }) => bytes)).equals(run));
      t.same(seen, ['sendmsg', 'sendmmsg 6', 'sendmmsg 6']);
      t.equal(sender.sendErrors, 0);
    });

  for (const errno of [EAGAIN, ENOBUFS, EPERM, ECONNREFUSED])
    t.test(`errno ${errno} costs the run, is counted per packet, and the next run goes`, async (t) => {
      let fail = true;
      const { sender, received, to } = await pair(t, (real) => ({ sendmsg: (...args) => (fail ? -errno : real.sendmsg(...args)) }));
      sender.sendRun(patterned(2500), 2500, 1000, to.host, to.port);
      t.equal(sender.sendErrors, 3);
      fail = false;
      sender.sendRun(patterned(2500), 2500, 1000, to.host, to.port);
      await received.until(3);
      t.same(received.lengths, [1000, 1000, 500]);
      t.equal(sender.sendErrors, 3);
    });

  t.test('an interrupted call is made again', async (t) => {
    let interruptions = 3;
    const { sender, received, to } = await pair(t, (real) => ({ sendmsg: (...args) => (interruptions-- > 0 ? -EINTR : real.sendmsg(...args)) }));
    sender.sendRun(patterned(2000), 2000, 1000, to.host, to.port);
    await received.until(2);
    t.equal(sender.sendErrors, 0);
  });

  t.test('without segmentation, one packet that fails does not take the others with it', async (t) => {
    let call = 0;
    const { sender, received, to } = await pair(t, (real) => ({
      sendmsg: () => -EIO,
      // Two leave, the third fails, the rest leaves: as sendmmsg reports it.
      sendmmsg: (fd, headers, count, flags) => [() => real.sendmmsg(fd, headers, 2, flags), () => -EPERM, () => real.sendmmsg(fd, headers, count, flags)][call++]!(),
    }));
    sender.sendRun(patterned(5000), 5000, 1000, to.host, to.port);
    await received.until(4);
    t.same(received.packets.map(({ bytes }) => bytes[0]), [0, 1, 3, 4].map((i) => patterned(5000)[i * 1000]));
    t.equal(sender.sendErrors, 1);
  });

  t.test('a kernel without UDP_SEGMENT gets its packets one by one', async (t) => {
    const seen: number[] = [];
    const { sender, received, to } = await pair(t, (real) => ({
      getsockopt: (fd, level, name, value, length) => (level === 17 ? -92 : real.getsockopt(fd, level, name, value, length)),
      sendmsg: () => t.fail('segmentation was tried') as never,
      sendmmsg: (fd, headers, count, flags) => (seen.push(count), real.sendmmsg(fd, headers, count, flags)),
    }));
    sender.sendRun(patterned(10_000), 10_000, 100, to.host, to.port);
    await received.until(100);
    t.same(seen, [64, 36]);
  });

  t.test('a pending error on the socket does not stop its delivery', async (t) => {
    const real = socketCalls();
    let report: ((status: number) => void) | undefined;
    let restarted = 0;
    const socket = await openBatchedSocket(V4, {
      ...real,
      watch: (fd, onReadable) => {
        const watch = real.watch(fd, onReadable);
        report = onReadable;
        return { restart: () => (restarted++, watch.restart()), close: () => watch.close() };
      },
    });
    t.teardown(() => socket.close());
    const received = DatagramCollector.on(socket);
    report!(-9);
    socket.sendRun(Buffer.from('x'), 1, 1, socket.local.host, socket.local.port);
    await received.until(1);
    t.equal(restarted, 1);
    t.equal(socket.sendErrors, 1);
  });
});

t.test('one turn of the event loop delivers a bounded number of packets', { skip: noBatchedSockets }, async (t) => {
  const [a, b] = [await openBatchedSocket(V4), await openBatchedSocket(V4)];
  t.teardown(() => Promise.all([a.close(), b.close()]));
  for (let i = 0; i < 100; i++) a.sendRun(patterned(6000), 6000, 100, b.local.host, b.local.port);
  const received = DatagramCollector.on(b);
  const perTurn: number[] = [];
  for (let before = 0; before < 6000; before = received.packets.length) {
    await nextTurn();
    perTurn.push(received.packets.length - before);
  }
  t.ok(Math.max(...perTurn) <= 1024 + 64, `at most ${Math.max(...perTurn)} in a turn`);
  t.ok(received.batches.every((count, i) => count - (received.batches[i - 1] ?? 0) <= 256 + 64), 'batches stay small');
});

t.test('an exception of the receiver reaches the process', { skip: noBatchedSockets }, async (t) => {
  const { code, stderr } = await runChild('throwing-receiver.js');
  t.equal(code, 1);
  t.match(stderr, /Error: from the receiver/);
});

t.test('memory the kernel writes to survives garbage collection', { skip: noBatchedSockets }, async (t) => {
  const { code, stdout, stderr } = await runChild('collector-pressure.js', '--expose-gc');
  t.equal(code, 0, stderr);
  t.match(stdout, /"corrupt":0/);
});

t.test('closing gives the descriptor back', { skip: noBatchedSockets }, async (t) => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  for (let i = 0; i < 50; i++) {
    const socket = await openBatchedSocket(V4);
    socket.start({ onPacket: () => undefined, onBatchEnd: () => undefined });
    await socket.close();
    await t.rejects(openBatchedSocket({ host: '192.0.2.1', port: 0 }));
  }
  t.equal(descriptors(), before);
});

const runChild = async (script: string, ...flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const child = spawn(process.execPath, [...flags, fileURLToPath(new URL(script, import.meta.url))], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
};
