// Run with --expose-gc: sends and receives while the collector runs and the heap fills with other
// buffers. Memory of the socket that was collected would be handed to those and show as wrong bytes.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BatchedSocket } from '@ztna/protocol';
import { openBatchedSocket } from './batched-calls.js';
import { patterned } from './datagram-collector.js';

const ROUNDS = 300;
const SEGMENT = 1200;
const PACKETS = 20;
const expected = patterned(SEGMENT * PACKETS);
const parts = Array.from({ length: PACKETS }, (_, i) => expected.subarray(i * SEGMENT, (i + 1) * SEGMENT));

let received = 0;
let corrupt = 0;
let litter: Buffer[] = [];

const listen = (socket: BatchedSocket): void =>
  socket.start({
    onPacket: (packet, host, port) => {
      if (!packet.equals(parts[received % PACKETS]!) || host !== '127.0.0.1' || port !== sender.local.port) corrupt++;
      received++;
    },
    onBatchEnd: () => undefined,
  });

const address = { host: '127.0.0.1', port: 0 };
const sender = await openBatchedSocket(address);
let receiver: BatchedSocket | undefined = await openBatchedSocket(address);
const to = receiver.local;
listen(receiver);
// From here only the event loop holds the receiver.
receiver = undefined;

for (let round = 0; round < ROUNDS; round++) {
  // A new buffer each time, so that no address of an earlier one may be used.
  sender.sendRun(Buffer.from(expected), expected.length, SEGMENT, to.host, to.port);
  litter.push(Buffer.alloc(64 * 1024, 0xaa), Buffer.allocUnsafeSlow(4096).fill(0xbb));
  if (litter.length > 100) litter = [];
  if (round % 5 === 0) global.gc!();
  const due = (round + 1) * PACKETS;
  for (let turn = 0; received < due && turn < 1000; turn++) await nextTurn();
}
process.stdout.write(JSON.stringify({ received, corrupt }));
process.exit(received === ROUNDS * PACKETS && corrupt === 0 ? 0 : 1);
