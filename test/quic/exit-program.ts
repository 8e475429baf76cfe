// Run by a test: connects two endpoints, closes both, and has to exit without being told to.

import { Endpoint, openPlainSocket } from '@ztna/protocol';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const far = new Recorder();
const server = new Endpoint({
  socket: await openPlainSocket(LOOPBACK),
  server: { config: outerServer(), retry: true, maxConnections: 10, accept: () => far },
});
const client = new Endpoint({ socket: await openPlainSocket(LOOPBACK) });
const near = new Recorder();
client.connect(server.local, RELAY_SERVER_NAME, outerClient(), near);
await Promise.all([near.established(), far.until(() => far.calls.includes('established'))]);
await server.close('draining');
const { code } = await near.ended();
process.stdout.write(`client ended with ${code}\n`);
await client.close('no_error');
