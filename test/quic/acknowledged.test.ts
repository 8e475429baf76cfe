// When a stream that is finished on both sides has arrived: what a process waits for before it ends its connection.

import t from 'tap';
import type { EndpointConnection, QuicStream } from '@ztna/protocol';
import { createInnerPair } from './pair.js';
import { StreamCollector } from './recorder.js';

t.test('a finished stream counts as acknowledged only when its last bytes have arrived', async (t) => {
  let request: StreamCollector | undefined;
  const onStream = (_connection: EndpointConnection, taken: QuicStream): void => {
    request = new StreamCollector(taken);
    taken.write(Buffer.from('answer'), true);
  };
  const { connection, near, far, network, clientSocket } = await createInnerPair(t, {}, { far: { onStream } });
  const stream = connection.openStream()!;
  const answer = new StreamCollector(stream);
  stream.write(Buffer.from('first'), false);
  await near.until(() => answer.isFinished);

  // From here on nothing reaches the far side.
  network.filter = (_packet, from) => from.port !== clientSocket.external.port;
  stream.write(Buffer.from(' and last'), true);
  t.ok(stream.isDead, 'both directions are finished on this side');
  let acknowledged: boolean | undefined;
  const settled = connection.whenAcknowledged(stream).then((value) => (acknowledged = value));
  const before = network.stats.lost;
  while (network.stats.lost < before + 3) await new Promise((resolve) => setImmediate(resolve));
  t.equal(acknowledged, undefined, 'its packets were sent three times, and lost');
  network.filter = undefined;
  t.equal(await settled, true);
  await far.until(() => request!.isFinished);
  t.equal(request!.bytes.toString(), 'first and last');
});

t.test('a connection that ends first says so', async (t) => {
  const { connection, network } = await createInnerPair(t);
  const stream = connection.openStream()!;
  new StreamCollector(stream);
  network.filter = () => false;
  stream.write(Buffer.from('lost'), true);
  const settled = connection.whenAcknowledged(stream);
  connection.abandon('no_error');
  t.equal(await settled, false);
  t.equal(await connection.whenAcknowledged(stream), false);
});
