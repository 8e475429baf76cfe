// The two address caches of the batched socket: right answers, and bounds.

import t from 'tap';
import { DestinationCache, MAX_DESTINATIONS, readSockaddr, SenderCache, writeSockaddr } from '@ztna/protocol';
import { noBatchedSockets, socketCalls } from './batched-calls.js';

const [AF_INET, AF_INET6] = [2, 10];

t.test('sockaddr', { skip: noBatchedSockets }, async (t) => {
  const calls = socketCalls();
  for (const { family, host, hex } of [
    { family: AF_INET, host: '192.0.2.7', hex: ['0200', '1151', 'c0000207', '0000000000000000', '00000000000000000000000000000000'] },
    { family: AF_INET6, host: '2001:db8::1', hex: ['0a00', '1151', '00000000', '20010db8000000000000000000000001', '00000000', '00000000'] },
    { family: AF_INET6, host: '::ffff:192.0.2.7', hex: ['0a00', '1151', '00000000', '00000000000000000000ffffc0000207', '00000000', '00000000'] },
    { family: AF_INET6, host: 'fe80::1%4294967295', hex: ['0a00', '1151', '00000000', 'fe800000000000000000000000000001', 'ffffffff', '00000000'] },
    { family: AF_INET6, host: 'fe80::1%lo', hex: ['0a00', '1151', '00000000', 'fe800000000000000000000000000001', '01000000', '00000000'] },
  ])
    t.test(`${host} to bytes and back`, async (t) => {
      const bytes = Buffer.alloc(32, 0xff);
      t.ok(writeSockaddr(calls, family, { host, port: 4433 }, bytes));
      t.equal(bytes.toString('hex'), hex.join(''));
      t.same(readSockaddr(calls, bytes), { host, port: 4433 });
    });

  for (const [family, host, port] of [[AF_INET, '::1', 1], [AF_INET6, '127.0.0.1', 1], [AF_INET, '', 1], [AF_INET, '1.2.3', 1], [AF_INET, '1.2.3.4', 65536], [AF_INET, '1.2.3.4', -1], [AF_INET, '1.2.3.4\0', 1], [AF_INET6, '%lo', 1]] as const)
    t.test(`refuses ${JSON.stringify(host)} port ${port} for family ${family}`, async (t) => {
      t.notOk(writeSockaddr(calls, family, { host, port }, Buffer.alloc(32)));
    });
});

t.test('the sender cache', { skip: noBatchedSockets }, async (t) => {
  const calls = socketCalls();
  const names = Buffer.allocUnsafeSlow(64).fill(0);
  const cache = new SenderCache(calls, names);
  const lookup = (family: number, host: string, port: number, index = 0) => {
    writeSockaddr(calls, family, { host, port }, names.subarray(index * 32, index * 32 + 32));
    return cache.lookup(index);
  };

  t.test('names more senders than it has room for, each rightly', async (t) => {
    let wrong = 0;
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 40_000; i++) {
        const host = `10.${i & 3}.${(i >>> 2) & 0xff}.1`;
        const seen = lookup(AF_INET, host, 1 + (i % 60_000), i & 1);
        if (seen.host !== host || seen.port !== 1 + (i % 60_000)) wrong++;
      }
    t.equal(wrong, 0);
  });

  t.test('gives a sender the same object again, also between others', async (t) => {
    const a = lookup(AF_INET6, '2001:db8::1', 7);
    const b = lookup(AF_INET6, '2001:db8::2', 7);
    t.not(a, b);
    t.equal(lookup(AF_INET6, '2001:db8::1', 7), a);
  });

  t.test('tells link-local senders on two interfaces apart, and no two flow labels', async (t) => {
    const first = lookup(AF_INET6, 'fe80::9%1', 7);
    t.not(lookup(AF_INET6, 'fe80::9%2', 7), first);
    const again = lookup(AF_INET6, 'fe80::9%1', 7);
    names.writeUInt32LE(0x12345, 4);
    t.equal(cache.lookup(0), again);
  });
});

t.test('the destination cache', { skip: noBatchedSockets }, async (t) => {
  const cache = new DestinationCache(socketCalls(), AF_INET);
  const first = cache.lookup('10.0.0.1', 1);
  t.equal(cache.lookup('10.0.0.1', 1), first, 'the same again');
  t.not(cache.lookup('10.0.0.1', 2), first, 'another port is another destination');
  t.equal(cache.lookup('10.0.0.1', 1), first, 'and back');
  t.equal(cache.lookup('10.0.0.1', 0).sockaddr, undefined, 'port 0 is no destination');
  let most = 0;
  for (let i = 0; i < MAX_DESTINATIONS * 2; i++) {
    cache.lookup(`10.1.${(i >>> 8) & 0xff}.${i & 0xff}`, 1 + (i >>> 16));
    most = Math.max(most, cache.size);
  }
  t.equal(most, MAX_DESTINATIONS, 'as many as it may, and no more');
});
