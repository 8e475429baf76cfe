// What the queue does to delay, on a virtual clock: a flood beside a neighbour, and CoDel against
// senders that react to loss and senders that don't.

import t from 'tap';
import { Link, WindowSender } from './queue-link.js';

t.test('a neighbour of 500/s beside a flood of 50 000/s through 10 000/s loses nothing and waits under 10 ms', async (t) => {
  for (const [name, floods, floodBytes] of [['one full-size flood', 1, 1296], ['one flood of tiny datagrams', 1, 16], ['four floods', 4, 1296]] as const) {
    const link = new Link();
    // Steps of 0.1 ms: one datagram leaves, five of the flood come, and one of the neighbour's every 2 ms.
    for (let step = 0; step < 50_000; step++) {
      const now = step / 10;
      for (let n = 0; n < 5; n++) link.send(1 + ((step * 5 + n) % floods), floodBytes, now);
      if (step % 20 === 0) link.send(0, 1296, now);
      link.deliver(now);
    }
    const { sent, delivered, sojourns } = link.flow(0);
    t.ok(sent - delivered <= 1, `${name}: ${delivered} of ${sent} delivered, at most one still on its way`);
    t.equal(link.lost(0), 0, `${name}: none lost`);
    const p99 = percentile(sojourns, 0.99);
    t.ok(p99 < 10, `${name}: p99 ${p99.toFixed(2)} ms`);
    const used = [0, 1, 2, 3, 4].reduce((sum, slot) => sum + link.flow(slot).delivered, 0);
    t.ok(used >= 49_990, `${name}: the link is used whole, ${used} delivered`);
    t.comment(`${name}: neighbour p50 ${percentile(sojourns, 0.5).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${Math.max(...sojourns).toFixed(2)} ms`);
  }
});

t.test('a sender that reacts to loss is held near the target, and keeps the link busy', async (t) => {
  const link = new Link();
  const sender = new WindowSender(link, 40);
  // 2000/s: without CoDel its window would grow until the 4096 of the queue were full, 2 s of delay.
  for (let step = 0; step < 60_000; step++) {
    const now = step / 2;
    if (step === 10_000) link.flow(0).sojourns.length = 0;
    sender.handleTime(now);
    link.deliver(now);
  }
  const { sojourns, delivered } = link.flow(0);
  t.ok(percentile(sojourns, 0.5) < 10, `median ${percentile(sojourns, 0.5).toFixed(1)} ms`);
  t.ok(percentile(sojourns, 0.95) < 25, `p95 ${percentile(sojourns, 0.95).toFixed(1)} ms`);
  t.ok(delivered > 60_000 * 0.85, `${delivered} of 60 000 delivered`);
  t.strictSame(Object.keys(link.drops), ['queue_delay']);
});

t.test('a persistent overload of 2 % that does not react waits a few targets, not the 400 ms of a full queue', async (t) => {
  const link = new Link();
  let due = 0;
  for (let step = 0; step < 300_000; step++) {
    const now = step / 10;
    for (; due <= step; due += 1 / 1.02) link.send(0, 1296, now);
    link.deliver(now);
    if (step === 150_000) link.flow(0).sojourns.length = 0;
  }
  const { sojourns } = link.flow(0);
  t.ok(percentile(sojourns, 0.5) < 30, `median ${percentile(sojourns, 0.5).toFixed(1)} ms`);
  t.ok(percentile(sojourns, 0.99) < 60, `p99 ${percentile(sojourns, 0.99).toFixed(1)} ms`);
  t.strictSame(Object.keys(link.drops), ['queue_delay']);
});

t.test('nothing is dropped while the delay is below 5 ms, however long', async (t) => {
  const link = new Link();
  for (let step = 0; step < 40; step++) link.send(0, 1296, 0);
  for (let step = 0; step < 100_000; step++) {
    link.send(0, 1296, step / 10);
    link.deliver(step / 10);
  }
  t.strictSame(link.drops, {});
});

t.test('a burst that is gone within 100 ms is delivered whole', async (t) => {
  const link = new Link();
  for (let n = 0; n < 900; n++) link.send(0, 1296, 0);
  for (let step = 0; step < 900; step++) link.deliver(step / 10);
  t.equal(link.flow(0).delivered, 900);
  t.strictSame(link.drops, {});
});

t.test('a clock set back drops nothing and stops nothing', async (t) => {
  const link = new Link();
  for (let n = 0; n < 100; n++) link.send(0, 1296, 1e6);
  for (let n = 0; n < 100; n++) link.deliver(5);
  t.equal(link.flow(0).delivered, 100);
});

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)]!;
}
