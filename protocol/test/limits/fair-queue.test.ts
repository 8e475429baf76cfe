// The queue against naive FIFOs, its bounds under random use, and its memory.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DATAGRAM_SLOT_BYTES, DEFAULT_QUEUE_BUDGET, QueueBudget, type FairQueue } from '@ztna/protocol';
import fc from 'fast-check';
import t from 'tap';
import { datagram, drain, fixture, seqOf, slotOf, type Fixture } from './queue-fixture.js';

t.test('datagrams of a session come out whole, in order, as they went in', async (t) => {
  const { queue } = fixture();
  for (let seq = 0; seq < 10; seq++) queue.enqueue(7, datagram(7, seq, 16 + seq * 150), 0);
  for (let seq = 0; seq < 10; seq++) t.strictSame(queue.dequeue(1), datagram(7, seq, 16 + seq * 150));
  t.equal(queue.dequeue(1), undefined);
  t.ok(queue.isEmpty);
});

t.test('an empty datagram and the largest are carried, a larger one is counted', async (t) => {
  const { queue, drops } = fixture();
  queue.enqueue(1, new Uint8Array(0), 0);
  queue.enqueue(1, new Uint8Array(DATAGRAM_SLOT_BYTES).fill(9), 0);
  queue.enqueue(1, new Uint8Array(DATAGRAM_SLOT_BYTES + 1), 0);
  t.equal(queue.dequeue(0)?.length, 0);
  t.strictSame(queue.dequeue(0), Buffer.alloc(DATAGRAM_SLOT_BYTES, 9));
  t.equal(queue.dequeue(0), undefined);
  t.strictSame(drops.counts, { too_large: 1 });
});

t.test('two sessions that always have something waiting send the same number of bytes', async (t) => {
  const { queue } = fixture();
  const sent = [0, 0];
  for (let seq = 0; seq < 1500; seq++) queue.enqueue(0, datagram(0, seq, 1296), 0);
  for (let seq = 0; seq < 2000; seq++) queue.enqueue(1, datagram(1, seq, 400), 0);
  for (let turn = 0; turn < 2000; turn++) {
    const out = queue.dequeue(0)!;
    sent[slotOf(out)]! += out.length;
    if (Math.abs(sent[0]! - sent[1]!) > 2 * 1300 + 1296) t.fail(`${sent.join(' : ')} bytes after ${turn}`);
  }
});

t.test('tiny datagrams are sent at most four to each full one of a neighbour', async (t) => {
  const { queue } = fixture();
  for (let seq = 0; seq < 2000; seq++) queue.enqueue(0, datagram(0, seq, 16), 0);
  for (let seq = 0; seq < 400; seq++) queue.enqueue(1, datagram(1, seq, 1296), 0);
  const sent = [0, 0];
  for (let turn = 0; turn < 1500; turn++) sent[slotOf(queue.dequeue(0)!)]!++;
  t.ok(sent[0]! <= 4 * (sent[1]! + 2), `${sent.join(' : ')}`);
});

t.test('a session that was quiet goes before those with a backlog', async (t) => {
  const { queue } = fixture();
  for (let slot = 0; slot < 20; slot++) for (let seq = 0; seq < 10; seq++) queue.enqueue(slot, datagram(slot, seq, 1296), 0);
  for (let turn = 0; turn < 40; turn++) queue.dequeue(0);
  queue.enqueue(99, datagram(99, 0, 1296), 0);
  t.equal(slotOf(queue.dequeue(0)!), 99);
});

t.test('a session that sends one datagram each time it ran empty does not starve a backlog', async (t) => {
  const { queue } = fixture();
  for (let seq = 0; seq < 300; seq++) queue.enqueue(0, datagram(0, seq, 1296), 0);
  const sent = [0, 0];
  let seq = 0;
  for (let turn = 0; turn < 400; turn++) {
    if (turn === 0 || sent[1]! === seq) queue.enqueue(1, datagram(1, seq++, 1296), 0);
    sent[slotOf(queue.dequeue(0)!)]!++;
  }
  t.ok(sent[0]! >= 198, `${sent.join(' : ')}`);
});

t.test('past 4096 datagrams the oldest of the fattest session goes, and nobody else loses anything', async (t) => {
  const { queue, drops } = fixture();
  for (let slot = 1; slot <= 20; slot++) for (let seq = 0; seq < 20; seq++) queue.enqueue(slot, datagram(slot, seq, 100), 0);
  for (let seq = 0; seq < 10_000; seq++) queue.enqueue(0, datagram(0, seq, 100), 0);
  t.equal(queue.datagrams, 4096);
  t.strictSame(drops.counts, { peer_queue_full: 10_400 - 4096 });
  const seen = drain(queue);
  for (let slot = 1; slot <= 20; slot++) t.strictSame(seen.get(slot), [...Array(20).keys()]);
  t.equal(seen.get(0)![0], 10_400 - 4096, 'the oldest are gone');
  t.equal(seen.get(0)!.at(-1), 9_999, 'the newest is there');
});

t.test('past 4 MiB likewise', async (t) => {
  const { queue, drops } = fixture();
  for (let seq = 0; seq < 50; seq++) queue.enqueue(1, datagram(1, seq, 1296), 0);
  for (let seq = 0; seq < 10_000; seq++) queue.enqueue(0, datagram(0, seq, 1296), 0);
  t.ok(queue.bytes <= 4 * 1024 * 1024 && queue.bytes > 4 * 1024 * 1024 - 1296);
  t.equal(drops.counts.peer_queue_full, 10_050 - queue.datagrams);
  t.equal(drain(queue).get(1)!.length, 50);
});

t.test('a flood of tiny datagrams does not make a neighbour of full ones the fattest', async (t) => {
  const { queue } = fixture();
  for (let seq = 0; seq < 100; seq++) queue.enqueue(1, datagram(1, seq, 1296), 0);
  for (let seq = 0; seq < 20_000; seq++) queue.enqueue(0, datagram(0, seq, 16), 0);
  t.equal(drain(queue).get(1)!.length, 100);
});

interface Step {
  readonly kind: 'in' | 'out' | 'drop' | 'clear';
  readonly queue: number;
  readonly slot: number;
  readonly length: number;
  readonly count: number;
}
const script = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom('in', 'in', 'in', 'in', 'out', 'out', 'drop', 'clear'),
    queue: fc.nat(2),
    slot: fc.nat(5),
    length: fc.oneof(fc.constant(1296), fc.integer({ min: 8, max: DATAGRAM_SLOT_BYTES })),
    count: fc.integer({ min: 1, max: 40 }),
  }),
  { maxLength: 80 },
);

t.test('while no bound is met, each session is exactly a FIFO', async (t) => {
  fc.assert(
    fc.property(script, (steps) => {
      const { queue, drops } = fixture();
      const model = new Map<number, Buffer[]>();
      let seq = 0;
      for (const { kind, slot, length, count } of steps) {
        for (let n = 0; n < count; n++) {
          if (kind === 'in') {
            const sent = datagram(slot, seq++, length);
            queue.enqueue(slot, sent, 0);
            model.set(slot, [...(model.get(slot) ?? []), sent]);
          } else if (kind === 'out') {
            const out = queue.dequeue(0);
            if (!out) {
              if ([...model.values()].some((fifo) => fifo.length > 0)) return false;
              break;
            }
            if (!out.equals(model.get(slotOf(out))!.shift()!)) return false;
          }
        }
        if (kind === 'drop') {
          queue.drop(slot, 'slot_unknown');
          model.delete(slot);
        }
        if (kind === 'clear') {
          queue.clear('peer_gone');
          model.clear();
        }
        const waiting = [...model.values()].flat();
        if (queue.datagrams !== waiting.length || queue.bytes !== waiting.reduce((sum, { length: bytes }) => sum + bytes, 0)) return false;
      }
      return drops.counts.peer_queue_full === undefined;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('no bound is ever exceeded, every datagram comes out in order or is counted, and all memory returns', async (t) => {
  fc.assert(
    fc.property(script, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 12 }), (steps, maxDatagrams, slots, flows) => {
      const limits = { datagrams: maxDatagrams, bytes: maxDatagrams * 700 };
      const budget = new QueueBudget({ bytes: slots * DATAGRAM_SLOT_BYTES, flows, strainedFrom: 0.75 });
      const all = [0, 1, 2].map(() => fixture(limits, budget));
      const last = new Map<string, number>();
      let [seq, sent, out] = [0, 0, 0];
      const take = (queue: FairQueue, index: number, now: number): boolean => {
        const datagram = queue.dequeue(now);
        if (!datagram) return false;
        out++;
        const key = `${index}/${slotOf(datagram)}`;
        if ((last.get(key) ?? -1) >= seqOf(datagram)) throw new Error('out of order');
        last.set(key, seqOf(datagram));
        return true;
      };
      let now = 0;
      for (const { kind, queue: index, slot, length, count } of steps) {
        const { queue } = all[index]!;
        now += count;
        for (let n = 0; n < count; n++) {
          if (kind === 'in') {
            queue.enqueue(slot, datagram(slot, seq++, length), now);
            sent++;
          } else if (kind === 'out') take(queue, index, now);
        }
        if (kind === 'drop') queue.drop(slot, 'slot_unknown');
        if (kind === 'clear') queue.clear('peer_gone');
        if (queue.datagrams > limits.datagrams || queue.bytes > limits.bytes) return false;
        const waiting = all.reduce((sum, one) => sum + one.queue.datagrams, 0);
        if (budget.bytes !== waiting * DATAGRAM_SLOT_BYTES || budget.pool.used > slots || budget.flows.size > flows) return false;
        if (sent !== out + waiting + all.reduce((sum, one) => sum + one.drops.total, 0)) return false;
      }
      all.forEach(({ queue }, index) => {
        while (take(queue, index, now));
      });
      return all.every(({ queue }) => queue.isEmpty && queue.bytes === 0) && budget.bytes === 0 && budget.flows.size === 0;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('the budget is shared: past it, the fattest peer loses its oldest, not the one that asks', async (t) => {
  const budget = new QueueBudget({ bytes: 100 * DATAGRAM_SLOT_BYTES, flows: 1000, strainedFrom: 0.75 });
  const [hog, small, newcomer] = [0, 1, 2].map(() => fixture(undefined, budget)) as [Fixture, Fixture, Fixture];
  for (let seq = 0; seq < 10; seq++) small.queue.enqueue(1, datagram(1, seq, 100), 0);
  for (let seq = 0; seq < 500; seq++) hog.queue.enqueue(0, datagram(0, seq, 100), 0);
  for (let seq = 0; seq < 10; seq++) newcomer.queue.enqueue(2, datagram(2, seq, 100), 0);
  t.equal(budget.bytes, 100 * DATAGRAM_SLOT_BYTES);
  t.strictSame([hog, small, newcomer].map(({ drops }) => drops.counts), [{ queue_budget: 420 }, {}, {}]);
  t.strictSame([hog, small, newcomer].map(({ queue }) => queue.datagrams), [80, 10, 10]);
  t.equal(drain(hog.queue).get(0)![0], 420);
});

t.test('says when new sessions are to be refused, well before it drops', async (t) => {
  const budget = new QueueBudget({ bytes: 100 * DATAGRAM_SLOT_BYTES, flows: 1000, strainedFrom: 0.75 });
  const { queue } = fixture(undefined, budget);
  for (let seq = 0; seq < 74; seq++) queue.enqueue(0, datagram(0, seq, 100), 0);
  t.notOk(budget.isStrained);
  queue.enqueue(0, datagram(0, 74, 100), 0);
  t.ok(budget.isStrained);
  queue.dequeue(0);
  t.notOk(budget.isStrained);
});

t.test('past the number of flows a new session is refused and counted, known ones go on', async (t) => {
  const budget = new QueueBudget({ ...DEFAULT_QUEUE_BUDGET, bytes: 2 ** 20, flows: 2 });
  const { queue, drops } = fixture(undefined, budget);
  for (const slot of [1, 2, 3, 1, 2, 3]) queue.enqueue(slot, datagram(slot, 0, 100), 0);
  t.strictSame(drops.counts, { queue_budget: 2 });
  t.equal(queue.datagrams, 4);
  budget.flows.setMaxFlows(1);
  for (const slot of [1, 2, 3]) queue.enqueue(slot, datagram(slot, 0, 100), 0);
  t.strictSame(drops.counts, { queue_budget: 3 }, 'a lower bound turns nobody out');
  budget.flows.setMaxFlows(3);
  queue.enqueue(3, datagram(3, 0, 100), 0);
  t.strictSame(drops.counts, { queue_budget: 3 });
  t.equal(queue.datagrams, 7);
});

t.test('two queues that use the same slot number keep their datagrams apart', async (t) => {
  const budget = new QueueBudget();
  const [a, b] = [fixture(undefined, budget), fixture(undefined, budget)];
  a.queue.enqueue(5, datagram(5, 1, 100), 0);
  b.queue.enqueue(5, datagram(5, 2, 100), 0);
  a.queue.drop(5, 'slot_unknown');
  t.strictSame(a.drops.counts, { slot_unknown: 1 });
  t.equal(a.queue.dequeue(0), undefined);
  t.equal(seqOf(b.queue.dequeue(0)!), 2);
});

t.test('holds as many sessions as there are, and forgets them when they are served', async (t) => {
  const { queue, budget } = fixture({ datagrams: 100_000, bytes: 2 ** 30 });
  for (let slot = 0; slot < 60_000; slot++) queue.enqueue(slot, datagram(slot, 0, 100), 0);
  t.equal(budget.flows.size, 60_000);
  const seen = drain(queue);
  t.equal(seen.size, 60_000);
  t.equal(budget.flows.size, 0);
});

t.test('chunks go back when they are empty, but for one, and swinging about an edge keeps it', async (t) => {
  const { queue, budget } = fixture();
  for (let seq = 0; seq < 4000; seq++) queue.enqueue(seq % 3, datagram(seq % 3, seq, 100), 0);
  t.equal(budget.pool.allocatedBytes, 8 * 512 * DATAGRAM_SLOT_BYTES);
  drain(queue);
  t.equal(budget.pool.allocatedBytes, 512 * DATAGRAM_SLOT_BYTES);
  for (let seq = 0; seq < 512; seq++) queue.enqueue(0, datagram(0, seq, 100), 0);
  for (let seq = 512; seq < 600; seq++) {
    queue.enqueue(0, datagram(0, seq, 100), 0);
    t.equal(budget.pool.allocatedBytes, 2 * 512 * DATAGRAM_SLOT_BYTES);
    queue.dequeue(0);
  }
});

t.test('a million datagrams through it leave the heap as it was', async (t) => {
  const { queue, budget } = fixture();
  const payloads = [60, 400, 900, 1296].map((length, slot) => datagram(slot, 0, length));
  let now = 0;
  const run = (operations: number): void => {
    for (let n = 0; n < operations; n++) {
      now += 0.01;
      // Bursts of 16 from 64 sessions, so that flows come and go and chunks are shared.
      for (let burst = 0; burst < 16; burst++) queue.enqueue((n * 7 + burst * 5) % 64, payloads[burst % 4]!, now);
      for (let burst = 0; burst < 16; burst++) if (!queue.dequeue(now)) throw new Error('nothing came out');
    }
  };
  const collect = collector();
  run(20_000);
  collect();
  const before = process.memoryUsage();
  run(62_500);
  const young = process.memoryUsage().heapUsed - before.heapUsed;
  collect();
  const after = process.memoryUsage();
  t.ok(after.heapUsed - before.heapUsed < 256 * 1024, `${after.heapUsed - before.heapUsed} bytes kept`);
  t.ok(after.arrayBuffers - before.arrayBuffers < 64 * 1024, `${after.arrayBuffers - before.arrayBuffers} bytes of buffers kept`);
  t.ok(young < 16 * 1024 * 1024, `${young} bytes of garbage from a million datagrams: less than one object each`);
  t.equal(budget.bytes, 0);
});

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
