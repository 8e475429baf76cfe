// A program whose receiver throws: it has to end as any program with an uncaught exception.

import { openBatchedSocket } from './batched-calls.js';

const socket = await openBatchedSocket({ host: '127.0.0.1', port: 0 });
socket.start({
  onPacket: () => {
    throw new Error('from the receiver');
  },
  onBatchEnd: () => undefined,
});
socket.sendRun(Buffer.from('x'), 1, 1, socket.local.host, socket.local.port);
