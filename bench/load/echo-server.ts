// Sends everything back, over TCP. Says its port; ends with its standard input.

import { createServer } from 'node:net';
import { answerRequests, report, settings } from './requests.js';

const { host } = settings<{ readonly host: string }>();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
server.listen(0, host, () => {
  answerRequests(() => ({}));
  report({ ready: true, port: (server.address() as { port: number }).port });
});
