// The sample application: says hello, on the address in LISTEN. `check` asks a running one and exits 0 if it answers.

import { createServer, get } from 'node:http';

const listen = process.env.LISTEN;
if (!/^[\d.]+:\d+$/.test(listen ?? '')) throw new Error('LISTEN must be address:port');
const [host, port] = listen.split(':');

if (process.argv[2] === 'check') {
  get({ host, port, timeout: 4000 }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1)).on('timeout', () => process.exit(1));
} else {
  const server = createServer((_request, response) => response.end('hello from the sample app\n'));
  server.listen(Number(port), host);
  process.once('SIGTERM', () => {
    server.close();
    server.closeIdleConnections();
  });
}
