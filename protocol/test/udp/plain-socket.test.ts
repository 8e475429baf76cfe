// The socket over node:dgram.

import t from 'tap';
import { openPlainSocket } from '@ztna/protocol';
import { checkDatagramSocket } from './datagram-socket-compliance.js';

checkDatagramSocket(t, openPlainSocket);

t.test('says what it is', async (t) => {
  const socket = await openPlainSocket({ host: '127.0.0.1', port: 0 }, 'because');
  t.teardown(() => socket.close());
  t.equal(socket.kind, 'plain');
  t.equal(socket.reason, 'because');
});
