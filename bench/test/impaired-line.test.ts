// The emulated link: the same seed loses the same packets, the others come out unchanged, in order and on time.

import t from 'tap';
import { Emulator } from '../load/emulator.js';
import { ImpairedLine, type ImpairedLineInit } from '../load/impaired-line.js';
import { openPlainSocket } from '@ztna/protocol';

const PACKETS = 20_000;

const packet = (n: number, bytes = 64): Buffer => {
  const buffer = Buffer.alloc(bytes, n & 0xff);
  buffer.writeUInt32BE(n);
  return buffer;
};

/** Numbers of the packets that come out at `now`. */
const release = (line: ImpairedLine, now: number): number[] => {
  const out: number[] = [];
  line.release(now, (run, length, segment) => {
    for (let offset = 0; offset < length; offset += segment) out.push(run.readUInt32BE(offset));
  });
  return out;
};

const survivors = (init: ImpairedLineInit): number[] => {
  const line = new ImpairedLine(init);
  return Array.from({ length: PACKETS }, (_, n) => n).filter((n) => {
    const arrives = line.push(packet(n), 0);
    release(line, 0);
    return arrives;
  });
};

t.test('the same seed loses the same packets, another seed others', async (t) => {
  const once = survivors({ seed: 7, loss: 0.01, delayMs: 0 });
  t.same(survivors({ seed: 7, loss: 0.01, delayMs: 0 }), once);
  t.notSame(survivors({ seed: 8, loss: 0.01, delayMs: 0 }), once);
});

t.test('fates do not depend on when packets come, nor on delay', async (t) => {
  const line = new ImpairedLine({ seed: 7, loss: 0.01, delayMs: 40 });
  const kept: number[] = [];
  for (let n = 0; n < PACKETS; n++) {
    if (line.push(packet(n), n * 3)) kept.push(n);
    release(line, n * 3);
  }
  t.same(kept, survivors({ seed: 7, loss: 0.01, delayMs: 0 }));
});

t.test('it loses as much as it is told to', async (t) => {
  t.equal(survivors({ seed: 1, loss: 0, delayMs: 0 }).length, PACKETS);
  t.equal(survivors({ seed: 1, loss: 1, delayMs: 0 }).length, 0);
  const share = 1 - survivors({ seed: 1, loss: 0.03, delayMs: 0 }).length / PACKETS;
  t.ok(share > 0.026 && share < 0.034, `3 % asked for, ${(share * 100).toFixed(2)} % seen`);
});

t.test('packets come out in their order after the delay, and not before', async (t) => {
  const line = new ImpairedLine({ seed: 1, loss: 0, delayMs: 10 });
  line.push(packet(1), 100);
  line.push(packet(2), 103);
  t.equal(line.nextDue, 110);
  t.same(release(line, 109.9), []);
  t.same(release(line, 110), [1]);
  t.equal(line.nextDue, 113);
  t.same(release(line, 200), [2]);
  t.equal(line.nextDue, undefined);
});

t.test('runs hold packets of one length, the last perhaps shorter, with every byte as it was', async (t) => {
  const line = new ImpairedLine({ seed: 1, loss: 0, delayMs: 0 });
  const sizes = [100, 100, 60, 100, 120, 120, 1500];
  sizes.forEach((bytes, n) => line.push(packet(n, bytes), 0));
  const runs: number[][] = [];
  line.release(0, (run, length, segment) => {
    const lengths: number[] = [];
    for (let offset = 0; offset < length; offset += segment) {
      const end = Math.min(offset + segment, length);
      const n = run.readUInt32BE(offset);
      t.ok(run.subarray(offset, end).equals(packet(n, sizes[n])), `packet ${n}`);
      lengths.push(end - offset);
    }
    runs.push(lengths);
  });
  t.same(runs, [[100, 100, 60], [100], [120, 120], [1500]]);
});

t.test('what finds the line full is counted apart, and the ring goes round', async (t) => {
  const line = new ImpairedLine({ seed: 1, loss: 0, delayMs: 1, capacity: 3 });
  for (let n = 0; n < 5; n++) line.push(packet(n), 0);
  t.same(release(line, 1), [0, 1, 2]);
  for (let n = 5; n < 8; n++) line.push(packet(n), 1);
  t.same(release(line, 2), [5, 6, 7]);
  t.same(line.stats, { carried: 6, lost: 0, overflowed: 2 });
});

t.test('the emulator carries packets to its target and answers back to whoever asked', async (t) => {
  const open = async () => {
    const socket = await openPlainSocket({ host: '127.0.0.1', port: 0 });
    t.teardown(() => socket.close());
    return socket;
  };
  const server = await open();
  server.start({ onPacket: (asked, host, port) => server.sendRun(Buffer.from(asked), asked.length, asked.length, host, port), onBatchEnd: () => undefined });
  const emulator = await Emulator.open({ listen: { host: '127.0.0.1', port: 0 }, target: server.local, seed: 1, loss: 0, delayMs: 5 });
  t.teardown(() => emulator.close());
  const ask = async (n: number): Promise<number> => {
    const client = await open();
    const question = packet(n);
    const send = (): void => client.sendRun(question, question.length, question.length, emulator.local.host, emulator.local.port);
    // UDP may lose even on loopback.
    const timer = setInterval(send, 200);
    t.teardown(() => clearInterval(timer));
    const answer = new Promise<number>((resolve) => client.start({ onPacket: (answered) => resolve(answered.readUInt32BE()), onBatchEnd: () => undefined }));
    send();
    return answer.finally(() => clearInterval(timer));
  };
  t.same(await Promise.all([ask(1), ask(2)]), [1, 2]);
});
