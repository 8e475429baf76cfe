// Every datagram a relay receives ends as exactly one of forwarded, consumed, dropped for a reason: over everything
// that can happen to one, to a client that leaves in the middle of it.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { encodeHeader } from '@ztna/protocol';
import { ShapedSocket } from '@ztna/protocol/testing';
import { joinAs, openPair } from '../harness/intruder.js';
import { Lab } from '../harness/lab.js';
import { settledDatagrams, startRelayHere } from '../harness/relay-here.js';
import { eventually } from '../quic/eventually.js';

t.test('received = forwarded + consumed + dropped, whatever was sent and whoever left', async (t) => {
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['ssh']);
  for (const name of ['alice', 'mallory']) lab.enrol('agent', name);
  let socket!: ShapedSocket;
  const { server, port } = await startRelayHere(t, lab, {
    policy: [{ allow: ['alice', 'mallory'], services: ['ssh'] }],
    extra: { limits: { client: { datagrams: { perSecond: 1000, burst: 1500 } }, queues: { datagrams: 300 } } },
    wrapSocket: (inner) => (socket = new ShapedSocket(inner, { bytesPerSecond: 30_000, buffer: 100 })),
  });
  const { counters } = server.machine;
  const connector = await joinAs(lab, 'connector', 'connector-1', ['ssh'], { port });
  const [alice, mallory] = await Promise.all(['alice', 'mallory'].map((name) => joinAs(lab, 'agent', name, [], { port })));
  t.teardown(() => Promise.all([connector, alice!, mallory!].map((one) => one.close())));
  const own = await openPair(mallory!, connector);
  const ended = await openPair(alice!, connector);
  socket.shape(connector.localPort);

  const payload = Buffer.alloc(1000);
  mallory!.sendDatagram(Buffer.alloc(3));
  mallory!.sendDatagram(randomBytes(64));
  mallory!.sendDatagram(encodeHeader({ type: 1, slot: 0, tag: 0 }));
  mallory!.sendSessionDatagram(ended.agentEnd, payload);
  mallory!.sendSessionDatagram({ slot: 60_000, tag: 1 }, payload);
  mallory!.sendSessionDatagram({ ...own.agentEnd, tag: own.agentEnd.tag ^ 1 }, payload);
  for (let n = 0; n < 2500; n++) mallory!.sendSessionDatagram(own.agentEnd, payload);
  for (let n = 0; n < 200; n++) alice!.sendSessionDatagram(ended.agentEnd, payload);
  await eventually(() => server.forwarder.waiting > 200 && counters.received > 2000);
  alice!.send({ type: 'closeSession', session: ended.agentEnd });
  await eventually(() => counters.received === 2706);
  t.equal(settledDatagrams(server) + server.forwarder.waiting, 2706, 'while some still wait');
  await eventually(() => counters.dropped('slot_unknown') > 1);
  await connector.close();
  await eventually(() => server.forwarder.waiting === 0);
  t.equal(settledDatagrams(server), 2706);
  const { dropped, consumed, forwarded } = counters.totals();
  t.match(dropped, { header_too_short: 1, bad_magic: 1, not_owner: 1, tag_mismatch: 1 });
  t.equal(consumed, 1);
  t.ok(forwarded > 0 && dropped.datagram_rate > 0 && dropped.peer_queue_full > 0 && dropped.slot_unknown > 1, JSON.stringify(dropped));
});
