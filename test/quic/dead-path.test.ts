// A path dies before the connection has left it: what the server had under way there is lost, and comes again by the next one.

import t from 'tap';
import { Endpoint, type EndpointConnection, type QuicStream, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createNatLink, SERVER } from './nat-link.js';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

/** As many as the server sends before it hears by the new path: more than the two packets that QUIC's probes bring back. */
const LOST_MESSAGES = 12;

t.test('messages under way on a path that died arrive by the next one', async (t) => {
  let mapped: SocketAddress = { host: '192.0.2.1', port: 40_000 };
  const { near, far } = createNatLink(() => mapped);
  let control: QuicStream | undefined;
  const accepted = new Recorder({
    onStream: (_connection, stream) => {
      control = stream;
      stream.handler = { onReadable: () => stream.read(Buffer.alloc(16)), onWritable: () => undefined, onReset: () => undefined };
    },
  });
  const server = new Endpoint({ socket: far, server: { config: outerServer(), retry: true, maxConnections: 1, accept: () => accepted } });
  const client = new Endpoint({ socket: near });
  t.teardown(() => Promise.all([client.close('no_error'), server.close('no_error')]));
  const recorder = new Recorder();
  const connection: EndpointConnection = client.connect(SERVER, RELAY_SERVER_NAME, outerClient(), recorder);
  await recorder.established();
  const received: Buffer[] = [];
  const stream = connection.openStream()!;
  const buffer = Buffer.alloc(4096);
  const read = (): void => {
    for (let count; (count = stream.read(buffer)) > 0; ) received.push(Buffer.from(buffer.subarray(0, count)));
  };
  stream.handler = { onReadable: read, onWritable: () => undefined, onReset: () => undefined };
  stream.write(Buffer.from('go'), false);
  await eventually(() => control !== undefined);
  control!.write(Buffer.from('ready.'), false);
  await eventually(() => Buffer.concat(received).toString() === 'ready.');

  // After a round of losses QUIC's window may let fewer out.
  let mostLost = 0;
  for (let port = 40_001; port <= 40_005; port++) {
    received.length = 0;
    far.lost.length = 0;
    mapped = { host: '192.0.2.1', port };
    let expected = '';
    for (let n = 0; n < LOST_MESSAGES; n++) {
      const text = `message ${port}/${n}.`;
      control!.write(Buffer.from(text), false);
      expected += text;
      // A packet each.
      await new Promise((resolve) => setImmediate(resolve));
    }
    mostLost = Math.max(mostLost, far.lost.length);
    connection.ping();
    const began = performance.now();
    await eventually(() => Buffer.concat(received).length === expected.length);
    t.equal(Buffer.concat(received).toString(), expected);
    t.comment(`all there after ${(performance.now() - began).toFixed(0)} ms`);
  }
  t.ok(mostLost >= LOST_MESSAGES / 2, `${mostLost} packets lost at once`);
  await eventually(() => accepted.count('migrated') >= 5);
  t.equal(accepted.count('migrated'), 5, 'each move is told once');
  t.equal(connection.hasEnded, false);
});
