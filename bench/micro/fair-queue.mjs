// What the limits cost on the packet path: ns per enqueue + dequeue of the fair queue and per check of the
// rate buckets, and per datagram that passes an outbound queue in front of an idle connection. Needs a build (npx tsc -b). Run: node bench/micro/fair-queue.mjs [operations]

import { ConnectionLimits, ConnectionRateTable, DATAGRAM_QUEUED, DatagramCounters, FairQueue, OutboundQueue, QueueBudget } from '@ztna/protocol';

const OPERATIONS = Number(process.argv[2] ?? 1_000_000);
const ROUNDS = 5;

/** The best of several rounds: what the code costs, without what else the machine was doing. */
const measure = (name, run) => {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const done = run(OPERATIONS);
    best = Math.min(best, ((performance.now() - start) * 1e6) / done);
  }
  console.log(`${name.padEnd(58)} ${best.toFixed(1).padStart(7)} ns`);
};

const fairQueue = (flows, backlog, bytes) => {
  const queue = new FairQueue({ budget: new QueueBudget(), drops: { countDropped: () => undefined } });
  const datagram = Buffer.alloc(bytes);
  let now = 0;
  for (let n = 0; n < backlog; n++) queue.enqueue(n % flows, datagram, now);
  return (operations) => {
    for (let n = 0; n < operations; n++) {
      now += 0.000_1;
      queue.enqueue(n % flows, datagram, now);
      queue.dequeue(now);
    }
    return operations;
  };
};

for (const bytes of [64, 1296]) {
  measure(`queue, ${bytes} bytes, empty before each enqueue`, fairQueue(1, 0, bytes));
  measure(`queue, ${bytes} bytes, 1 session, 1000 waiting`, fairQueue(1, 1000, bytes));
  measure(`queue, ${bytes} bytes, 100 sessions, 2000 waiting`, fairQueue(100, 2000, bytes));
  measure(`queue, ${bytes} bytes, 1000 sessions, 2000 waiting`, fairQueue(1000, 2000, bytes));
}

{
  const queue = new FairQueue({ budget: new QueueBudget(), drops: { countDropped: () => undefined } });
  const datagram = Buffer.alloc(1296);
  measure('queue, 1296 bytes, enqueue only, full (one drop each)', (operations) => {
    for (let n = 0; n < operations; n++) queue.enqueue(n % 100, datagram, 0);
    return operations;
  });
}

{
  const limits = new ConnectionLimits(new ConnectionRateTable(), 0);
  let now = 0;
  measure('checkDatagram, allowed', (operations) => {
    for (let n = 0; n < operations; n++) limits.checkDatagram((now += 0.01), 1296);
    return operations;
  });
  measure('checkDatagram, refused', (operations) => {
    for (let n = 0; n < operations; n++) limits.checkDatagram((now += 0.000_01), 1296);
    return operations;
  });
}

{
  const link = { quic: { sendDatagram: () => DATAGRAM_QUEUED, datagramsToSend: () => 0 }, flush: () => undefined, markDirty: () => undefined };
  const queue = new OutboundQueue({ link, counter: new DatagramCounters(), budget: new QueueBudget() });
  const datagram = Buffer.alloc(1296);
  measure('outbound queue, straight through (QUIC left out)', (operations) => {
    for (let n = 0; n < operations; n++) if (queue.isOpen) queue.pass(datagram);
    return operations;
  });
}
