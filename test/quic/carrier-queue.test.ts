// What waits to leave a client: sessions of one party share a turn, and every packet is counted by where it ended.

import t from 'tap';
import { HEADER_BYTES, readSlot, SessionCarrier } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createInnerPair } from './pair.js';

const PACKET = Buffer.alloc(1000);

t.test('a party with many sessions and much to send does not hold up another, and all is counted', async (t) => {
  const carrier = new SessionCarrier();
  const pair = await createInnerPair(t, {}, { near: { onFlushed: (connection) => carrier.handleFlushed(connection) } });
  carrier.start({ onPacket: () => undefined, onBatchEnd: () => undefined });
  const greedy = Array.from({ length: 10 }, (_, slot) => carrier.addSession({ slot, tag: slot }, pair.connection, 'greedy').host);
  const modest = carrier.addSession({ slot: 99, tag: 99 }, pair.connection, 'modest').host;
  // Nothing is acknowledged, so the window fills.
  pair.network.filter = (_packet, from) => from.host === pair.clientSocket.external.host;
  for (let n = 0; n < 1000; n++) carrier.sendRun(PACKET, PACKET.length, PACKET.length, greedy[n % 10]!);
  carrier.sendRun(PACKET, PACKET.length, PACKET.length, modest);
  t.equal(carrier.sent.received, 1001);
  t.ok(carrier.sent.forwarded < 200, `${carrier.sent.forwarded} given to QUIC, the rest waits here`);
  pair.network.filter = undefined;
  await pair.far.until(() => pair.far.datagrams.some((datagram) => readSlot(datagram) === 99));
  const before = pair.far.datagrams.findIndex((datagram) => readSlot(datagram) === 99);
  t.ok(before < 250, `it came after ${before} of the 1000`);
  await eventually(() => carrier.sent.forwarded + carrier.sendErrors === 1001);
  const { dropped } = carrier.sent.totals();
  t.equal(carrier.sendErrors, Object.values(dropped).reduce((sum, count) => sum + count, 0));
});

t.test('what waits when the connection goes is dropped as peer_gone', async (t) => {
  const carrier = new SessionCarrier();
  const pair = await createInnerPair(t, {}, { near: { onFlushed: (connection) => carrier.handleFlushed(connection) } });
  const { host } = carrier.addSession({ slot: 1, tag: 1 }, pair.connection);
  pair.network.filter = () => false;
  for (let n = 0; n < 500; n++) carrier.sendRun(PACKET, PACKET.length, PACKET.length, host);
  const waiting = 500 - carrier.sent.forwarded;
  t.ok(waiting > 300);
  carrier.removeOuter(pair.connection);
  t.equal(carrier.sent.dropped('peer_gone'), waiting);
  carrier.removeOuter(pair.connection);
  t.equal(carrier.sendErrors, waiting, 'once');
});

t.test('what the relay sends is consumed, or dropped for one reason', async (t) => {
  const carrier = new SessionCarrier();
  const { connection } = await createInnerPair(t);
  t.notOk(carrier.receive(Buffer.alloc(HEADER_BYTES), HEADER_BYTES, connection));
  t.notOk(carrier.receive(Buffer.alloc(HEADER_BYTES), 3, connection));
  t.match(carrier.received.totals(), { received: 2, consumed: 0, dropped: { bad_magic: 1, header_too_short: 1 } });
});
