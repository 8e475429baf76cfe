// Splicing streams to real TCP sockets over a bad network: every byte in its place, FIN for FIN, reset
// for RST, and no memory for a reader that stalls.

import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import {
  createAnswerGate, encodePreambleAnswer, INNER_PROFILE, splice,
  type QuicStream, type SpliceResult,
} from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createInnerPair, type InnerPair } from './pair.js';
import { StreamCollector } from './recorder.js';

const BAD_NETWORK = { loss: 0.01, duplication: 0.01, reordering: 0.02, delayMs: 1, seed: 42 };
const endOf = (socket: Socket) => ({ readable: socket, writable: socket, abort: () => void socket.resetAndDestroy() });

/** A connected pair of TCP sockets; `inner` is the one to splice. */
const createTcpPair = async (t: Test): Promise<{ inner: Socket; outer: Socket }> => {
  const server: Server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  const outer = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const [inner] = (await once(server, 'connection')) as [Socket];
  server.close();
  inner.setNoDelay();
  outer.on('error', () => undefined);
  t.teardown(() => void [inner, outer].map((socket) => socket.destroy()));
  return { inner, outer };
};

interface Spliced {
  readonly pair: InnerPair;
  /** The local program's socket, at the agent's end; and the backend's, at the connector's. */
  readonly client: Socket;
  readonly backend: Socket;
  readonly nearDone: Promise<SpliceResult>;
  readonly farDone: Promise<SpliceResult>;
}

const spliceThrough = async (t: Test, network: Partial<typeof BAD_NETWORK> = BAD_NETWORK): Promise<Spliced> => {
  const [near, far] = [await createTcpPair(t), await createTcpPair(t)];
  let farDone!: Promise<SpliceResult>;
  const arrived = new Promise<void>((resolve) => {
    farDone = new Promise((done) => (onFarStream = (stream) => {
      stream.endMark = true; // as the product's: without, QUIC may lose the FIN (lost-end.test.ts)
      splice({ stream, local: endOf(far.inner), onDone: done });
      resolve();
    }));
  });
  const pair = await createInnerPair(t, network, { far: { onStream: (_c, stream) => onFarStream(stream) } });
  const stream = pair.connection.openStream()!;
  stream.endMark = true;
  const nearDone = new Promise<SpliceResult>((onDone) => splice({ stream, local: endOf(near.inner), onDone }));
  near.outer.write('hello');
  await arrived;
  await readExactly(far.outer, 5);
  return { pair, client: near.outer, backend: far.outer, nearDone, farDone };
};
let onFarStream: (stream: QuicStream) => void;

/** Resolves with exactly what arrives before the `length`-th byte is in; the socket is paused then. */
const readExactly = (socket: Socket, length: number): Promise<Buffer> => new Promise((resolve) => {
  let all = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    all = Buffer.concat([all, chunk]);
    if (all.length < length) return;
    socket.off('data', onData).pause();
    resolve(all);
  };
  socket.on('data', onData).resume();
});

/** Resolves at FIN; the socket stays open for writing. */
const readToEnd = (socket: Socket): Promise<Buffer> => new Promise((resolve, reject) => {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks))).on('error', reject).resume();
});

/** The socket's error when it closes; undefined for a close in good order. */
const closed = (socket: Socket): Promise<Error | null> => new Promise((resolve) => socket.on('close', () => resolve(socket.errored)).resume());

t.test('8 MiB each way at once arrive byte for byte over a bad network', async (t) => {
  const { client, backend, nearDone, farDone, pair } = await spliceThrough(t);
  const [up, down] = [randomBytes(8 << 20), randomBytes(8 << 20)];
  client.end(up);
  backend.end(down);
  const [atClient, atBackend] = await Promise.all([readToEnd(client), readToEnd(backend)]);
  t.ok(atBackend.equals(up));
  t.ok(atClient.equals(down));
  t.same(await nearDone, { code: undefined, bytesSent: up.length + 5, bytesReceived: down.length });
  t.same(await farDone, { code: undefined, bytesSent: down.length, bytesReceived: up.length + 5 });
  t.ok(pair.network.stats.lost > 0 && pair.network.stats.duplicated > 0 && pair.network.stats.reordered > 0);
  t.equal(pair.connection.streamCount, 0);
  t.equal(pair.far.connection!.streamCount, 0);
});

t.test('a client that finishes first still gets its answer, and the other way round', async (t) => {
  for (const clientFirst of [true, false]) {
    const { client, backend, nearDone } = await spliceThrough(t);
    const [first, second] = clientFirst ? [client, backend] : [backend, client];
    const [request, answer] = [readToEnd(second), readToEnd(first)];
    first.end('request');
    t.equal((await request).toString(), 'request');
    t.equal(second.writable, true);
    second.end('answer');
    t.equal((await answer).toString(), 'answer');
    t.equal((await nearDone).code, undefined);
  }
});

t.test('a reset on either side is a reset on the other', async (t) => {
  for (const fromClient of [true, false]) {
    const { client, backend, nearDone, farDone, pair } = await spliceThrough(t);
    const [victim, culprit] = fromClient ? [backend, client] : [client, backend];
    const error = closed(victim);
    culprit.resetAndDestroy();
    t.match(await error, { code: 'ECONNRESET' });
    t.same([(await nearDone).code, (await farDone).code], ['flow_reset', 'flow_reset']);
    t.equal(pair.connection.streamCount, 0);
    t.equal(pair.far.connection!.streamCount, 0);
  }
});

t.test('a reset that comes together with data is a reset, although libuv reports an end', async (t) => {
  const { backend, nearDone, farDone } = await spliceThrough(t, {});
  // Both are in the kernel before the event loop looks again.
  backend.write(randomBytes(5000));
  backend.resetAndDestroy();
  t.equal((await farDone).code, 'flow_reset');
  t.equal((await nearDone).code, 'flow_reset');
});

t.test('so it is after the other direction has ended, when nothing can be written any more', async (t) => {
  const { client, backend, nearDone, farDone } = await spliceThrough(t);
  client.end('request');
  await readToEnd(backend);
  const error = closed(client);
  backend.write('half an ans');
  backend.resetAndDestroy();
  t.equal((await farDone).code, 'flow_reset');
  t.equal((await nearDone).code, 'flow_reset');
  await error;
});

t.test('a stalled reader stops the sender within the flow-control window, and resuming completes the transfer', async (t) => {
  const { client, backend, pair } = await spliceThrough(t, { ...BAD_NETWORK, loss: 0 });
  const payload = randomBytes(32 << 20);
  client.end(payload);
  // Nothing reads `backend`: wait until the sender stands still for ten looks in a row.
  let last = -1;
  for (let still = 0; still < 10; ) {
    await pingOnce(pair);
    const sent = client.bytesWritten - client.writableLength;
    still = sent === last ? still + 1 : 0;
    last = sent;
  }
  // One window in QUIC, and what two TCP connections on loopback hold (measured: 2.5 to 6 MiB each).
  t.ok(last < INNER_PROFILE.streamWindow + (14 << 20), `${last} bytes under way`);
  t.ok(last < payload.length);
  const all = await readToEnd(backend);
  t.ok(all.equals(payload));
});

/** A datagram there and back. */
const pingOnce = async (pair: InnerPair): Promise<void> => {
  const before = pair.far.datagrams.length;
  await eventually(() => {
    pair.connection.sendDatagram(Buffer.from('?'));
    return pair.far.datagrams.length > before;
  });
};

/** The first byte is in; nothing is read after it. */
const backendStarts = async (backend: Socket): Promise<void> => void (await readExactly(backend, 1));

t.test('a reset reaches a local reader that is stalled', async (t) => {
  const { client, backend, farDone } = await spliceThrough(t, { ...BAD_NETWORK, loss: 0 });
  client.write(randomBytes(24 << 20));
  await backendStarts(backend);
  client.resetAndDestroy();
  t.equal((await farDone).code, 'flow_reset');
});

t.test('a socket destroyed without an error after its FIN ends the flow', async (t) => {
  const { inner, outer } = await createTcpPair(t);
  const { connection } = await createInnerPair(t);
  const stream = connection.openStream()!;
  const done = new Promise<SpliceResult>((onDone) => splice({ stream, local: endOf(inner), onDone }));
  inner.on('end', () => inner.destroy());
  outer.end();
  t.equal((await done).code, 'flow_reset');
});

t.test('a flow of no bytes at all is closed in good order', async (t) => {
  const { client, backend, nearDone, farDone } = await spliceThrough(t);
  const read = Promise.all([readToEnd(backend), readToEnd(client)]);
  client.end();
  backend.end();
  t.same((await read).map(({ length }) => length), [0, 0]);
  t.equal((await nearDone).code, undefined);
  t.equal((await farDone).code, undefined);
});

t.test('an answer that comes byte by byte opens the gate, and nothing of it reaches the client', async (t) => {
  const { inner, outer } = await createTcpPair(t);
  let onStream!: (stream: QuicStream) => void;
  const arrived = new Promise<QuicStream>((resolve) => (onStream = resolve));
  const { connection, far, near } = await createInnerPair(t, {}, {
    far: { onStream: (_c, stream) => {
      new StreamCollector(stream);
      onStream(stream);
    } },
  });
  const refusals: unknown[] = [];
  const stream = connection.openStream()!;
  splice({ stream, local: endOf(inner), gate: createAnswerGate((refusal) => refusals.push(refusal)), onDone: () => undefined });
  outer.write('x');
  const remote = await arrived;
  for (const byte of Buffer.concat([encodePreambleAnswer({ ok: true }), Buffer.from('payload')])) {
    remote.write(Buffer.of(byte), false);
    far.connection!.sendDatagram(Buffer.of(byte));
    const before = near.datagrams.length;
    await near.until(() => near.datagrams.length > before);
  }
  t.equal((await readExactly(outer, 7)).toString(), 'payload');
  t.same(refusals, [undefined]);
});

for (const [title, answer, fin, code] of [
  ['a refusal aborts the client and delivers nothing', Buffer.concat([encodePreambleAnswer({ error: 'backend_refused', reason: 'no' }), Buffer.from('secret')]), false, 'backend_refused'],
  ['a stream that ends before its answer is a protocol error', encodePreambleAnswer({ ok: true }).subarray(0, 2), true, 'protocol_error'],
] as const) {
  t.test(title, async (t) => {
    const { inner, outer } = await createTcpPair(t);
    const { connection } = await createInnerPair(t, {}, {
      far: { onStream: (_c, stream) => {
        new StreamCollector(stream);
        stream.write(answer, fin);
      } },
    });
    const stream = connection.openStream()!;
    const done = new Promise<SpliceResult>((onDone) => splice({ stream, local: endOf(inner), gate: createAnswerGate(() => undefined), onDone }));
    const error = closed(outer);
    outer.write('x');
    const received: Buffer[] = [];
    outer.on('data', (chunk: Buffer) => received.push(chunk));
    const result = await done;
    t.equal(result.code, code);
    t.equal(result.bytesReceived, 0);
    t.match(await error, { code: 'ECONNRESET' });
    t.same(received, []);
  });
}

t.test('five hundred streams at once, each with its own bytes', async (t) => {
  const echo = (stream: QuicStream): void => {
    let sent = 0;
    const collector: StreamCollector = new StreamCollector(stream, () => {
      if (collector.isFinished) sent += stream.write(collector.bytes.subarray(sent), true);
    });
  };
  const { connection, near, far } = await createInnerPair(t, BAD_NETWORK, { far: { onStream: (_c, stream) => echo(stream) } });
  const flows = Array.from({ length: 500 }, (_, i) => {
    const stream = connection.openStream()!;
    const payload = randomBytes(1 + i * 3);
    let sent = 0;
    const push = (): void => void (sent += stream.write(payload.subarray(sent), true));
    const collector = new StreamCollector(stream, push);
    push();
    return { payload, collector };
  });
  await near.until(() => flows.every(({ collector }) => collector.isFinished));
  t.ok(flows.every(({ payload, collector }) => collector.bytes.equals(payload)));
  t.equal(connection.streamCount, 0);
  await far.until(() => far.connection!.streamCount === 0);
  t.equal(far.streams.length, 500);
});

t.test('streams reset before they are read are told of once, and no id shows up twice', async (t) => {
  const collectors: StreamCollector[] = [];
  const { connection, far } = await createInnerPair(t, BAD_NETWORK, { far: { onStream: (_c, stream) => void collectors.push(new StreamCollector(stream)) } });
  for (let i = 0; i < 100; i++) {
    const stream = connection.openStream()!;
    stream.write(randomBytes(3000), false);
    stream.abort('too_many_flows');
    stream.abort('flow_idle');
  }
  connection.openStream()!.write(Buffer.from('last'), true);
  await far.until(() => collectors.some(({ length }) => length === 4) && collectors.filter(({ resets }) => resets > 0).length === collectors.length - 1);
  t.equal(new Set(far.streams.map(({ id }) => id)).size, far.streams.length);
  t.ok(collectors.every(({ resets, resetCode }) => resets === 0 || (resets === 1 && resetCode === 'too_many_flows')));
});

t.test('no more streams open than the peer allows, and more do as they end', async (t) => {
  const { connection, near, far } = await createInnerPair(t, {}, {
    far: { onStream: (_c, stream) => {
      stream.endMark = true;
      const collector: StreamCollector = new StreamCollector(stream, () => {
        if (collector.isFinished) stream.write(Buffer.alloc(0), true);
      });
    } },
  });
  const open: QuicStream[] = [];
  for (let stream; (stream = connection.openStream()); ) open.push(stream);
  t.equal(open.length, INNER_PROFILE.maxStreams);
  for (const stream of open) {
    stream.endMark = true;
    new StreamCollector(stream);
    stream.write(Buffer.from('.'), true);
  }
  await near.until(() => connection.quic.streamsLeft() > 0);
  t.ok(connection.openStream());
  t.equal(far.end, undefined);
});
