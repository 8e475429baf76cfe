// Connection ids that lead to one of several workers: the rule, the ids of relay and client, and the kernel's program.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { ADDRESS_CHECK, adoptDatagramSocket, leadsTo, makeLeading, openPlainSocket, openSharedPort, ResetKey, steeringProgram, type DatagramSocket } from '@ztna/protocol';

const SECRET = Buffer.alloc(48, 7);

t.test('the rule: four bytes, big endian, modulo the number of workers', (t) => {
  t.ok(leadsTo(Uint8Array.of(0, 0, 0, 5, 9, 9), { index: 2, count: 3 }));
  t.ok(leadsTo(Uint8Array.of(0xff, 0xff, 0xff, 0xff), { index: 0xffff_ffff % 7, count: 7 }), 'as an unsigned number');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 20 }), fc.integer({ min: 2, max: 64 }), (id, count) => {
      const fits = Array.from({ length: count }, (_, index) => leadsTo(id, { index, count }));
      return fits.filter(Boolean).length === 1;
    }),
  );
  t.end();
});

t.test('every id of a connection leads to its worker, and all are of one family', (t) => {
  for (const count of [2, 3, 64]) {
    const place = { index: count - 1, count };
    const key = new ResetKey(SECRET);
    const first = key.firstId(place);
    t.ok(leadsTo(first, place));
    const family = key.open(first, place)!;
    for (let n = 0; n < 50; n++) {
      const id = family.nextId()!;
      t.ok(leadsTo(id, place));
      t.equal(key.familyOf(id)?.toString('latin1'), family.name);
    }
  }
  t.end();
});

t.test('ids run out, as they do without workers', (t) => {
  const place = { index: 0, count: 64 };
  const key = new ResetKey(SECRET);
  const family = key.open(key.firstId(place), place)!;
  let issued = 0;
  while (family.nextId()) issued++;
  t.ok(issued > 800 && issued < 1250, `${issued} of about 1024`);
  t.equal(family.nextId(), undefined);
  t.end();
});

t.test('without workers the first id made is taken', (t) => {
  let made = 0;
  makeLeading(() => Buffer.from([made++, 0, 0, 0]), undefined);
  t.equal(made, 1);
  t.end();
});

t.test('the program is the one drawn', (t) => {
  t.equal(
    steeringProgram(3).toString('hex').replace(/(.{16})(?=.)/g, '$1 '),
    [
      '3000000000000000', // ldb [0]
      '4500050080000000', // jset #0x80, +5, +0
      '4500020040000000', // jset #0x40, +2, +0
      '150001000f000000', // jeq #0x0f, +1, +0
      '06000000ffffffff', // ret #-1
      '2000000001000000', // ld [1]
      '0500000001000000', // ja +1
      '2000000006000000', // ld [6]
      '9400000003000000', // mod #3
      '1600000000000000', // ret a
    ].join(' '),
  );
  t.end();
});

const unsupported = process.platform === 'linux' ? false : 'only Linux has such ports';

t.test('the kernel hands each packet to the worker its id leads to, from wherever it comes', { skip: unsupported }, async (t) => {
  for (const host of ['127.0.0.1', '::1']) {
    for (const mode of ['auto', 'plain'] as const) {
      const count = 3;
      const port = await openSharedPort({ host, port: 0 }, count);
      t.equal(port.descriptors.length, count);
      t.not(port.local.port, 0);
      const seen = Array.from({ length: count }, () => new Set<string>());
      const workers = await Promise.all(port.descriptors.map((fd) => adoptDatagramSocket(fd, port.local, { mode })));
      t.teardown(() => Promise.all(workers.map((worker) => worker.close())));
      let total = 0;
      const arrived = new Promise<void>((resolve) => {
        workers.forEach((worker, index) => {
          t.strictSame(worker.local, port.local);
          worker.start({ onPacket: (packet) => void (seen[index]!.add(packet.toString('hex')), ++total === 200 && resolve()), onBatchEnd: () => undefined });
        });
      });
      const expected = Array.from({ length: count }, () => new Set<string>());
      const clients: DatagramSocket[] = [];
      for (let n = 0; n < 4; n++) clients.push(await openPlainSocket({ host, port: 0 }));
      t.teardown(() => Promise.all(clients.map((client) => client.close())));
      for (let n = 0; n < 200; n++) {
        const id = randomBytes(16);
        const starts = [Buffer.of(0x40, ...id), Buffer.of(0xc0, 0, 0, 0, 1, 16, ...id), Buffer.of(ADDRESS_CHECK, ...id)];
        const packet = Buffer.concat([starts[n % starts.length]!, randomBytes(25)]);
        expected[Array.from({ length: count }, (_, index) => index).find((index) => leadsTo(id, { index, count }))!]!.add(packet.toString('hex'));
        clients[n % clients.length]!.sendRun(packet, packet.length, packet.length, host, port.local.port);
      }
      await arrived;
      t.strictSame(seen, expected, `${host} ${mode}`);
    }
  }
});

t.test('what is no QUIC, or too short, reaches some worker', { skip: unsupported }, async (t) => {
  const port = await openSharedPort({ host: '127.0.0.1', port: 0 }, 2);
  const workers = await Promise.all(port.descriptors.map((fd) => adoptDatagramSocket(fd, port.local, { mode: 'auto' })));
  const client = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  t.teardown(() => Promise.all([...workers, client].map((socket) => socket.close())));
  const sent = [Buffer.from('5a544e410100', 'hex'), Buffer.of(0x40), Buffer.of(0xc0, 0, 0), Buffer.of(1)];
  let total = 0;
  const arrived = new Promise<void>((resolve) => {
    for (const worker of workers) worker.start({ onPacket: () => void (++total === sent.length && resolve()), onBatchEnd: () => undefined });
  });
  for (const packet of sent) client.sendRun(packet, packet.length, packet.length, '127.0.0.1', port.local.port);
  await arrived;
  t.equal(total, sent.length);
});

t.test('a port that anybody has is in use, also for those who would share it', { skip: unsupported }, async (t) => {
  const one = await openSharedPort({ host: '127.0.0.1', port: 0 }, 2);
  await t.rejects(openSharedPort(one.local, 2), { code: 'address_in_use' });
  await t.rejects(openPlainSocket(one.local), { code: 'address_in_use' });
  one.close();
  const again = await openSharedPort(one.local, 2);
  again.close();
  const alone = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  await t.rejects(openSharedPort(alone.local, 2), { code: 'address_in_use' });
  await alone.close();
  await t.rejects(openSharedPort({ host: '192.0.2.1', port: 0 }, 2), { code: 'address_invalid' });
});
