// The socket over node:dgram.

import { Socket } from 'node:dgram';
import t from 'tap';
import { openPlainSocket } from '@ztna/protocol';
import { DatagramCollector } from './datagram-collector.js';
import { checkDatagramSocket } from './datagram-socket-compliance.js';

checkDatagramSocket(t, openPlainSocket);

t.test('drops and counts while too much waits for the kernel, and sends again after', async (t) => {
  const socket = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  t.teardown(() => socket.close());
  const received = DatagramCollector.on(socket);
  let queued = 4 * 1024 * 1024 + 1;
  t.intercept(Socket.prototype, 'getSendQueueSize', { value: () => queued });
  const send = (text: string): void => socket.sendRun(Buffer.from(text), text.length, 2, socket.local.host, socket.local.port);
  send('lost!');
  t.equal(socket.sendErrors, 3);
  queued = 0;
  send('sent');
  await received.until(2);
  t.same(received.packets.map(({ bytes }) => String(bytes)), ['se', 'nt']);
  t.equal(socket.sendErrors, 3);
});

t.test('says what it is', async (t) => {
  const socket = await openPlainSocket({ host: '127.0.0.1', port: 0 }, 'because');
  t.teardown(() => socket.close());
  t.equal(socket.kind, 'plain');
  t.equal(socket.reason, 'because');
});
