// The outbound queue in front of a connection with a congestion window: straight through while there is room,
// little in QUIC's own queue when there is none, and every datagram counted once.

import fc from 'fast-check';
import t from 'tap';
import {
  BURST_DATAGRAMS,
  DATAGRAM_QUEUE_FULL,
  DATAGRAM_QUEUED,
  DATAGRAM_TOO_LARGE,
  DatagramCounters,
  OutboundQueue,
  QueueBudget,
  type DatagramOutcome,
  type OutboundQueueInit,
} from '@ztna/protocol';

const LARGEST = 1306;

/** A connection that sends `window` datagrams and then no more until it is given another. */
class Window {
  window = 0;
  flushes = 0;
  isDirty = false;
  /** The most that stayed in QUIC's queue after a flush. */
  mostHeld = 0;
  readonly sent: number[] = [];
  readonly #held: number[] = [];
  readonly quic = {
    sendDatagram: (datagram: Uint8Array): DatagramOutcome => {
      if (datagram.length > LARGEST) return DATAGRAM_TOO_LARGE;
      if (this.#held.length >= 4096) return DATAGRAM_QUEUE_FULL;
      this.#held.push(Buffer.from(datagram).readUInt32BE(0));
      return DATAGRAM_QUEUED;
    },
    datagramsToSend: () => this.#held.length,
  };

  flush(): void {
    this.flushes++;
    const sent = this.#held.splice(0, this.window);
    this.window -= sent.length;
    this.sent.push(...sent);
    this.mostHeld = Math.max(this.mostHeld, this.#held.length);
  }

  markDirty(): void {
    this.isDirty = true;
  }
}

const create = (init: Partial<OutboundQueueInit> = {}) => {
  const link = new Window();
  const counter = new DatagramCounters();
  const queue = new OutboundQueue({ link, counter, budget: new QueueBudget(), ...init });
  let seq = 0;
  const send = (flow: number, now: number, length = 100): number => {
    const datagram = Buffer.alloc(length);
    datagram.writeUInt32BE(seq++, 0);
    counter.countReceived();
    if (queue.isOpen) queue.pass(datagram);
    else queue.wait(flow, datagram, now);
    return seq - 1;
  };
  /** What an endpoint does at the end of a turn, after `window` more datagrams were acknowledged. */
  const settle = (window: number, now: number): void => {
    link.window += window;
    link.flush();
    queue.handleFlushed(now);
  };
  return { link, counter, queue, send, settle };
};

const settled = (counter: DatagramCounters): number => {
  const { forwarded, consumed, dropped } = counter.totals();
  return forwarded + consumed + Object.values(dropped).reduce((sum, count) => sum + count, 0);
};

t.test('while the window is open everything passes in order and nothing is copied, flushed a run at a time', (t) => {
  const { link, queue, counter, send, settle } = create();
  link.window = Infinity;
  for (let n = 0; n < 1000; n++) send(n % 7, 0);
  t.equal(queue.datagrams, 0);
  t.equal(link.flushes, Math.floor(999 / BURST_DATAGRAMS));
  t.ok(link.isDirty, 'the rest goes with the end of the turn');
  settle(0, 0);
  t.same(link.sent, Array.from({ length: 1000 }, (_, n) => n));
  t.equal(counter.forwarded, 1000);
  t.end();
});

t.test('while the window is closed QUIC has one burst, and what follows waits in turn', (t) => {
  const { link, queue, send, settle } = create();
  for (let n = 0; n < BURST_DATAGRAMS + 100; n++) send(1, 0);
  const late = send(2, 0);
  t.equal(link.quic.datagramsToSend(), BURST_DATAGRAMS);
  t.equal(queue.datagrams, 101);
  t.equal(link.flushes, 1, 'a closed window is not tried again with every datagram');
  settle(BURST_DATAGRAMS, 1);
  t.ok(link.quic.datagramsToSend() <= 4, 'then a few at a time');
  settle(6, 1);
  t.ok(link.sent.includes(late), 'a newcomer does not wait behind a hundred others');
  t.end();
});

t.test('a window that opens wide is filled in doubling steps, up to a run', (t) => {
  const { link, queue, send, settle } = create();
  for (let n = 0; n < 500; n++) send(1, 0);
  const before = link.flushes;
  settle(Infinity, 1);
  t.equal(queue.datagrams, 0);
  t.equal(link.sent.length, 500);
  t.ok(link.flushes - before < 20, `${link.flushes - before} flushes`);
  t.end();
});

t.test('a connection that was given nothing is not asked anything when it is flushed', (t) => {
  const { queue, link } = create();
  link.quic.datagramsToSend = () => {
    throw new Error('asked');
  };
  queue.handleFlushed(0);
  t.equal(link.flushes, 0);
  t.end();
});

t.test('what waited for a session that has ended is dropped as slot_unknown when its turn comes', (t) => {
  let isOpen = true;
  const { counter, send, settle, link } = create({ isCurrent: () => isOpen });
  for (let n = 0; n < BURST_DATAGRAMS + 50; n++) send(1, 0);
  isOpen = false;
  settle(Infinity, 1);
  t.equal(counter.dropped('slot_unknown'), 50);
  t.equal(link.sent.length, BURST_DATAGRAMS);
  t.equal(settled(counter), counter.received);
  t.end();
});

t.test('too large and a full queue have their reasons, and a connection that ends leaves peer_gone', (t) => {
  const { counter, queue, send } = create({ limits: { datagrams: 10, bytes: 1_000_000 } });
  send(1, 0, LARGEST + 1);
  for (let n = 0; n < BURST_DATAGRAMS - 1 + 25; n++) send(1, 0);
  queue.clear('peer_gone');
  t.match(counter.totals().dropped, { too_large: 1, peer_queue_full: 15, peer_gone: 10 });
  t.equal(settled(counter), counter.received);
  t.end();
});

t.test('a smaller bound holds from the next datagram on', (t) => {
  const { queue, send } = create();
  for (let n = 0; n < BURST_DATAGRAMS + 100; n++) send(1, 0);
  queue.setLimits({ datagrams: 10, bytes: 1_000_000 });
  send(1, 0);
  t.equal(queue.datagrams, 10);
  t.end();
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('send' as const), flow: fc.nat(5), count: fc.nat(120), length: fc.constantFrom(16, 100, 1296, 1400, 1600) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('settle' as const), window: fc.constantFrom(0, 1, 2, 10, 200), later: fc.nat(150) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('limits' as const), datagrams: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('current' as const), isCurrent: fc.boolean() }) },
);

t.test('whatever happens, every datagram received is forwarded, dropped for one reason, or waiting; in order within its flow', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let isCurrent = true;
      const budget = new QueueBudget({ bytes: 300 * 1536, flows: 4, strainedFrom: 0.75 });
      const { link, counter, queue, send, settle } = create({ budget, isCurrent: () => isCurrent });
      const flowOf = new Map<number, number>();
      let now = 0;
      for (const one of steps) {
        if (one.op === 'send') for (let n = 0; n < one.count; n++) flowOf.set(send(one.flow, now, one.length), one.flow);
        else if (one.op === 'settle') settle(one.window, (now += one.later));
        else if (one.op === 'limits') queue.setLimits({ datagrams: one.datagrams, bytes: 1_000_000 });
        else isCurrent = one.isCurrent;
        if (settled(counter) + queue.datagrams !== counter.received) return false;
        if (link.quic.datagramsToSend() > BURST_DATAGRAMS) return false;
      }
      queue.clear('peer_gone');
      const last = new Map<number, number>();
      for (const seq of link.sent) {
        const flow = flowOf.get(seq)!;
        if (seq <= (last.get(flow) ?? -1)) return false;
        last.set(flow, seq);
      }
      return settled(counter) === counter.received && budget.pool.used === 0;
    }),
  );
  t.pass();
  t.end();
});
