// What every UDP socket has to do, whatever it is made of. Run for each implementation.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import type { SocketAddress, UdpSocket } from '@ztna/protocol';
import { DatagramCollector, patterned } from './datagram-collector.js';

export type OpenSocket = (address: SocketAddress) => Promise<UdpSocket>;

const V4 = { host: '127.0.0.1', port: 0 };
const V6 = { host: '::1', port: 0 };
const ANY = { host: '::', port: 0 };

export const checkDatagramSocket = (t: Test, openSocket: OpenSocket): void => {
  /** Closed with the test. */
  const opener = (t: Test) => async (address: SocketAddress): Promise<UdpSocket> => {
    const socket = await openSocket(address);
    t.teardown(() => socket.close());
    return socket;
  };
  const send = (from: UdpSocket, to: SocketAddress, run: Buffer, segment = run.length): void => from.sendRun(run, run.length, segment, to.host, to.port);

  for (const [title, address] of [['IPv4', V4], ['IPv6', V6]] as const)
    t.test(`carries packets both ways over ${title} and names the sender`, async (t) => {
      const open = opener(t);
      const [a, b] = [await open(address), await open(address)];
      const [atA, atB] = [DatagramCollector.on(a), DatagramCollector.on(b)];
      t.equal(a.local.host, address.host);
      t.ok(a.local.port > 0, 'port 0 became a real one');
      send(a, b.local, Buffer.from('ping'));
      t.same(await atB.until(1), [{ bytes: Buffer.from('ping'), ...a.local }]);
      send(b, a.local, Buffer.from('pong'));
      t.same(await atA.until(1), [{ bytes: Buffer.from('pong'), ...b.local }]);
      t.equal(a.sendErrors + b.sendErrors, 0);
    });

  t.test('an IPv6 wildcard socket talks to IPv4 peers under their mapped address', async (t) => {
    const open = opener(t);
    const [dual, v4] = [await open(ANY), await open(V4)];
    const [atDual, atV4] = [DatagramCollector.on(dual), DatagramCollector.on(v4)];
    send(v4, { host: '127.0.0.1', port: dual.local.port }, Buffer.from('in'));
    const [packet] = await atDual.until(1);
    t.same(packet, { bytes: Buffer.from('in'), host: '::ffff:127.0.0.1', port: v4.local.port });
    send(dual, packet!, Buffer.from('out'));
    t.same(await atV4.until(1), [{ bytes: Buffer.from('out'), host: '127.0.0.1', port: dual.local.port }]);
  });

  for (const { title, length, segment } of [
    { title: 'whose last packet is shorter', length: 5 * 1350 + 17, segment: 1350 },
    { title: 'of equal packets', length: 7 * 1200, segment: 1200 },
    { title: 'of 60 000 bytes', length: 60_000, segment: 1350 },
    { title: 'of 65 000 bytes', length: 65_000, segment: 1000 },
    { title: 'of more packets than one system call takes', length: 300 * 100 + 1, segment: 100 },
    { title: 'of one-byte packets', length: 200, segment: 1 },
    { title: 'of two packets too large to go together', length: 80_000, segment: 40_000 },
  ])
    for (const address of [V4, V6])
      t.test(`cuts a run ${title} where it should be cut (${address.host})`, async (t) => {
        const open = opener(t);
        const [a, b] = [await open(address), await open(address)];
        const atB = DatagramCollector.on(b);
        const run = patterned(length);
        send(a, b.local, run, segment);
        const count = Math.ceil(length / segment);
        await atB.until(count);
        t.same(atB.lengths, Array.from({ length: count }, (_, i) => Math.min(segment, length - i * segment)));
        t.ok(Buffer.concat(atB.packets.map(({ bytes }) => bytes)).equals(run), 'bytes and order');
      });

  t.test('sends no more of the buffer than it is told', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    a.sendRun(patterned(5000), 2500, 1000, b.local.host, b.local.port);
    send(a, b.local, Buffer.from('end'));
    await atB.until(4);
    t.same(atB.lengths, [1000, 1000, 500, 3]);
  });

  t.test('the buffer is the caller’s again when sendRun returns', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    const run = patterned(4000);
    const expected = Buffer.from(run);
    send(a, b.local, run, 1000);
    run.fill(0);
    await atB.until(4);
    t.ok(Buffer.concat(atB.packets.map(({ bytes }) => bytes)).equals(expected));
  });

  t.test('runs to several destinations in turn reach each of them', async (t) => {
    const open = opener(t);
    const [a, b, c] = [await open(V4), await open(V4), await open(V4)];
    const [atB, atC] = [DatagramCollector.on(b), DatagramCollector.on(c)];
    for (let i = 0; i < 50; i++) {
      send(a, b.local, patterned(2500, i), 1200);
      send(a, c.local, patterned(900, i + 1), 400);
    }
    await Promise.all([atB.until(150), atC.until(150)]);
    t.same(atB.packets.filter((_, i) => i % 3 === 0).map(({ bytes }) => bytes), Array.from({ length: 50 }, (_, i) => patterned(2500, i).subarray(0, 1200)));
    t.same(new Set(atC.lengths), new Set([400, 100]));
  });

  t.test('packets of several senders keep their senders', async (t) => {
    const open = opener(t);
    const target = await open(V4);
    const senders = await Promise.all(Array.from({ length: 8 }, () => open(V4)));
    const received = DatagramCollector.on(target);
    for (let round = 0; round < 20; round++) senders.forEach((sender, i) => send(sender, target.local, Buffer.from([i, round, i]), 2));
    await received.until(senders.length * 20 * 2);
    const first = received.packets.filter(({ bytes }) => bytes.length === 2);
    t.ok(first.every(({ bytes, port }) => senders[bytes[0]!]!.local.port === port));
  });

  t.test('loses none of 10 000 packets that are read as they come', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    const run = Buffer.alloc(50 * 1200);
    for (let i = 0; i < 10_000; i += 50) {
      for (let k = 0; k < 50; k++) run.writeUInt32BE(i + k, k * 1200);
      send(a, b.local, run, 1200);
      if (i % 500 === 0) await atB.until(i + 50);
    }
    await atB.until(10_000);
    t.ok(atB.packets.every(({ bytes }, i) => bytes.length === 1200 && bytes.readUInt32BE() === i), 'all, whole and in order');
    t.equal(a.sendErrors, 0);
  });

  t.test('a receiver may overwrite the packet it is given', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    atB.onEach = (packet) => packet.fill(0xee);
    for (let i = 0; i < 20; i++) send(a, b.local, patterned(3000, i), 1000);
    await atB.until(60);
    const runs = Array.from({ length: 20 }, (_, i) => Buffer.concat(atB.packets.slice(i * 3, i * 3 + 3).map(({ bytes }) => bytes)));
    t.ok(runs.every((bytes, i) => bytes.equals(patterned(3000, i))));
  });

  t.test('a receiver may answer from within onPacket', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const [atA, atB] = [DatagramCollector.on(a), DatagramCollector.on(b)];
    atB.onEach = (packet, host, port) => b.sendRun(packet, packet.length, packet.length, host, port);
    send(a, b.local, patterned(5000), 1000);
    await atA.until(5);
    t.ok(Buffer.concat(atA.packets.map(({ bytes }) => bytes)).equals(patterned(5000)));
  });

  t.test('ends every batch, and only after packets', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    send(a, b.local, patterned(10_000), 1000);
    await atB.until(10);
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    t.equal(atB.batches.at(-1), 10, 'nothing is left without an end');
    t.equal(new Set(atB.batches).size, atB.batches.length, 'no batch is empty');
  });

  t.test('delivers an empty packet', async (t) => {
    const open = opener(t);
    const b = await open(V4);
    const atB = DatagramCollector.on(b);
    const sender = createSocket('udp4');
    t.teardown(() => sender.close());
    sender.send('', b.local.port, b.local.host);
    sender.send('after', b.local.port, b.local.host);
    await atB.until(2);
    t.same(atB.lengths, [0, 5]);
  });

  t.test('an empty run sends nothing and is no error', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    a.sendRun(Buffer.alloc(0), 0, 1200, b.local.host, b.local.port);
    send(a, b.local, Buffer.from('x'));
    await atB.until(1);
    t.same(atB.lengths, [1]);
    t.equal(a.sendErrors, 0);
  });

  t.test('carries the largest packet UDP has', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    const packet = patterned(65_507);
    send(a, b.local, packet);
    await atB.until(1);
    t.ok(atB.packets[0]!.bytes.equals(packet));
  });

  t.test('counts what cannot be sent, and goes on', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    const impossible: [string, SocketAddress, Buffer][] = [
      ['larger than any packet', b.local, Buffer.alloc(65_508)],
      ['port 0', { host: '127.0.0.1', port: 0 }, Buffer.from('x')],
      ['an IPv6 address from an IPv4 socket', { host: '::1', port: b.local.port }, Buffer.from('x')],
      ['no address at all', { host: 'not an address', port: b.local.port }, Buffer.from('x')],
    ];
    for (const [title, to, packet] of impossible) {
      const before = a.sendErrors;
      t.doesNotThrow(() => send(a, to, packet), title);
      for (let turn = 0; turn < 100 && a.sendErrors === before; turn++) await nextTurn();
      t.equal(a.sendErrors, before + 1, title);
    }
    send(a, b.local, Buffer.from('still here'));
    t.equal(String((await atB.until(1))[0]!.bytes), 'still here');
  });

  t.test('a destination where nobody listens disturbs nothing', async (t) => {
    const open = opener(t);
    const [a, b, gone] = [await open(V4), await open(V4), await openSocket(V4)];
    const atA = DatagramCollector.on(a);
    await gone.close();
    for (let i = 0; i < 10; i++) {
      send(a, gone.local, patterned(3000), 1000);
      send(b, a.local, Buffer.from([i]));
      await atA.until(i + 1);
    }
    t.same(atA.lengths, Array.from({ length: 10 }, () => 1));
  });

  t.test('delivers nothing after close, even in the middle of a batch', async (t) => {
    const open = opener(t);
    const [a, b] = [await open(V4), await open(V4)];
    const atB = DatagramCollector.on(b);
    let closing: Promise<void> | undefined;
    atB.onEach = () => {
      if (atB.packets.length === 3) closing = b.close();
    };
    send(a, b.local, patterned(20_000), 1000);
    while (!closing) await nextTurn();
    await closing;
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    t.equal(atB.packets.length, 3);
    t.notOk(atB.batches.some((count) => count > 3));
  });

  t.test('close may come twice, before start, and after it sendRun does nothing', async (t) => {
    const socket = await openSocket(V4);
    await Promise.all([socket.close(), socket.close()]);
    await socket.close();
    t.doesNotThrow(() => send(socket, { host: '127.0.0.1', port: 9 }, Buffer.from('x')));
    const again = await opener(t)(socket.local);
    t.equal(again.local.port, socket.local.port, 'the port is free again');
  });

  t.test('says which port is in use, and which address is not ours', async (t) => {
    const taken = await opener(t)(V4);
    await t.rejects(openSocket(taken.local), {
      code: 'address_in_use',
      message: `UDP 127.0.0.1:${taken.local.port} is already in use: stop the other process or choose another port`,
      cause: { code: 'EADDRINUSE', syscall: 'bind', message: `bind EADDRINUSE 127.0.0.1:${taken.local.port}` },
    });
    // TEST-NET-1 (RFC 5737) is nobody's.
    await t.rejects(openSocket({ host: '192.0.2.1', port: 0 }), { code: 'address_invalid', message: 'UDP 192.0.2.1:0 is not an address of this machine' });
  });

  t.test('keeps thousands of source ports apart', async (t) => {
    const target = await opener(t)(V4);
    const received = DatagramCollector.on(target);
    const sources = 3000;
    for (let i = 0; i < sources; i++) {
      const source = createSocket('udp4');
      source.bind(0, '127.0.0.1');
      await once(source, 'listening');
      const { port } = source.address();
      source.send(Buffer.from([port >>> 8, port & 0xff]), target.local.port, target.local.host, () => source.close());
      await once(source, 'close');
      await received.until(i + 1);
    }
    t.ok(received.packets.every(({ bytes, host, port }) => bytes.readUInt16BE() === port && host === '127.0.0.1'));
  });
};
