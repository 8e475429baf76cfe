// What one client may ask of a relay: a real relay, past each bound, and a neighbour who must not notice.

import t, { type Test } from 'tap';
import { OUTER_PROFILE } from '@ztna/protocol';
import type { HostileClient } from '../harness/hostile-client.js';
import { dialAs, joinAs, openPair } from '../harness/intruder.js';
import { Lab } from '../harness/lab.js';
import { settledDatagrams, startRelayHere, type RelayHere } from '../harness/relay-here.js';
import { eventually } from '../quic/eventually.js';

const FLOOD_MESSAGES = 40;

interface Cast extends RelayHere {
  readonly mallory: HostileClient;
  readonly alice: HostileClient;
  readonly connector: HostileClient;
}

const start = async (t: Test, client: object): Promise<Cast> => {
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['ssh']);
  for (const name of ['alice', 'mallory']) lab.enrol('agent', name);
  const relay = await startRelayHere(t, lab, { policy: [{ allow: ['alice', 'mallory'], services: ['ssh'] }], extra: { limits: { client } } });
  const { port } = relay;
  const connector = await joinAs(lab, 'connector', 'connector-1', ['ssh'], { port });
  const [alice, mallory] = await Promise.all(['alice', 'mallory'].map((name) => joinAs(lab, 'agent', name, [], { port })));
  t.teardown(() => Promise.all([connector, alice!, mallory!].map((one) => one.close())));
  return { ...relay, connector, alice: alice!, mallory: mallory! };
};

t.test('a flood of control messages is read at its rate, and nobody else is', async (t) => {
  const { mallory, alice, server } = await start(t, { controlMessages: { perSecond: 50, burst: 50 } });
  const started = performance.now();
  for (let timestamp = 0; timestamp < 150; timestamp++) mallory.send({ type: 'ping', timestamp });
  await eventually(() => server.pauses.size === 1);
  await alice.roundTrip();
  const pongs = (): unknown[] => mallory.messages.flatMap((message) => (message.type === 'pong' ? [message.timestamp] : []));
  t.ok(pongs().length < 100, 'the neighbour is answered first');
  await eventually(() => pongs().length === 150);
  const took = performance.now() - started;
  t.same(pongs(), Array.from({ length: 150 }, (_, n) => n), 'all of it, in order');
  t.ok(took >= 1900, `150 messages, 2 of them sent before, took ${took.toFixed()} ms at 50/s with 50 at once`);
  t.notOk(mallory.hasEnded);
  await eventually(() => server.pauses.size === 0);
});

t.test('a client that is paused and leaves is forgotten', async (t) => {
  const { mallory, server } = await start(t, { controlMessages: { perSecond: 1, burst: 10 } });
  for (let timestamp = 0; timestamp < 50; timestamp++) mallory.send({ type: 'ping', timestamp });
  await eventually(() => server.pauses.size === 1);
  await mallory.close();
  await eventually(() => server.machine.stats().connections === 2);
  t.equal(server.pauses.size, 0);
});

t.test('what is held of a flood of large control messages stays within the stream window', async (t) => {
  const { mallory, alice, server } = await start(t, { controlMessages: { perSecond: 1, burst: 10 } });
  const junk = Buffer.alloc(60_000, 0x61);
  for (let n = 0; n < FLOOD_MESSAGES; n++) {
    const body = Buffer.concat([Buffer.from([0xa1, 0x64]), Buffer.from('type'), Buffer.from([0x79, 0xea, 0x60]), junk]);
    const frame = Buffer.alloc(4 + body.length);
    frame.writeUInt32BE(body.length);
    body.copy(frame, 4);
    mallory.sendRaw(frame);
  }
  await eventually(() => server.pauses.size === 1);
  await alice.roundTrip();
  await alice.roundTrip();
  t.ok(mallory.messages.filter(({ type }) => type === 'error').length <= 10, 'the rest is unread');
  const taken = FLOOD_MESSAGES * junk.length - mallory.unsentBytes;
  t.ok(taken <= 11 * junk.length + 2 * OUTER_PROFILE.streamWindow, `${taken} bytes left the client`);
});

t.test('datagrams past their rate are dropped and counted, and the neighbour loses none', async (t) => {
  const { mallory, alice, connector, server } = await start(t, { datagrams: { perSecond: 10, burst: 100 } });
  const flooding = await openPair(mallory, connector);
  const honest = await openPair(alice, connector);
  for (let n = 0; n < 500; n++) mallory.sendSessionDatagram(flooding.agentEnd, Buffer.from('flood'));
  await eventually(() => server.machine.counters.received >= 500);
  for (let n = 0; n < 50; n++) alice.sendSessionDatagram(honest.agentEnd, Buffer.from('fine'));
  await eventually(() => server.machine.counters.received >= 550);
  await eventually(() => settledDatagrams(server) === server.machine.counters.received);
  const { forwarded, dropped } = server.machine.counters.totals();
  t.ok(dropped.datagram_rate > 300, `${dropped.datagram_rate} dropped`);
  t.equal(forwarded + dropped.datagram_rate, 550);
  t.ok(forwarded >= 150, 'a burst of one and all of the other');
  await connector.whenDatagrams(forwarded);
});

t.test('bytes past their rate are dropped and counted', async (t) => {
  const { mallory, connector, server } = await start(t, { bytes: { perSecond: 1000, burst: 20_000 } });
  const { agentEnd } = await openPair(mallory, connector);
  for (let n = 0; n < 100; n++) mallory.sendSessionDatagram(agentEnd, Buffer.alloc(1000));
  await eventually(() => server.machine.counters.received === 100);
  const { dropped, forwarded } = server.machine.counters.totals();
  t.ok(dropped.byte_rate >= 75 && forwarded >= 19, `${dropped.byte_rate} dropped, ${forwarded} forwarded`);
});

t.test('opens past their rate are answered with rate_limited', async (t) => {
  const { mallory, alice, connector } = await start(t, { opens: { perSecond: 1, burst: 3 } });
  for (let n = 0; n < 3; n++) await openPair(mallory, connector);
  mallory.open('ssh', 9);
  t.match(await mallory.take('openFailed'), { request: 9, code: 'rate_limited' });
  t.ok(await openPair(alice, connector));
});

t.test('a client is allowed its control stream and no other', async (t) => {
  const { mallory } = await start(t, {});
  t.equal(mallory.connection.quic.streamsLeft(), 0);
  t.equal(mallory.connection.openStream(), undefined);
});

t.test('new rates hold for clients that are connected', async (t) => {
  const { mallory, connector, server, settings } = await start(t, {});
  const { agentEnd } = await openPair(mallory, connector);
  const { rates } = settings.limits;
  server.apply({ ...settings, limits: { ...settings.limits, rates: { ...rates, datagrams: { perSecond: 1, burst: 5 } } } }, Date.now());
  for (let n = 0; n < 50; n++) mallory.sendSessionDatagram(agentEnd, Buffer.from('x'));
  await eventually(() => server.machine.counters.received === 50);
  t.ok(server.machine.counters.dropped('datagram_rate') >= 43);
});

t.test('no hello in time ends the connection with handshake_timeout', async (t) => {
  const lab = Lab.create(t);
  lab.enrol('agent', 'mallory');
  const { port } = await startRelayHere(t, lab, { policy: [], extra: { limits: { client: { helloTimeout: '200ms' } } } });
  const silent = await dialAs(lab, 'mallory', { port });
  t.teardown(() => silent.close());
  t.match(await silent.ended, { code: 'handshake_timeout' });
});
