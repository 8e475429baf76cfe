// The end of a stream over a network that loses the packet which carries it: the end mark makes it arrive.

import t, { type Test } from 'tap';
import type { QuicStream } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createInnerPair, type InnerPair } from './pair.js';
import { StreamCollector } from './recorder.js';

interface Ends {
  readonly pair: InnerPair;
  readonly near: QuicStream;
  readonly far: StreamCollector;
}

interface EndsPair extends InnerPair {
  /** Of the server's streams, in the order they were opened. */
  readonly collectors: StreamCollector[];
  /** Whether the streams opened from now on have the mark, on both sides. */
  marked: boolean;
}

const setUp = async (t: Test, network?: { seed: number; loss: number }): Promise<EndsPair> => {
  const collectors: StreamCollector[] = [];
  const pair: EndsPair = Object.assign(
    await createInnerPair(t, network, {
      far: {
        onStream: (_connection, stream) => {
          stream.endMark = pair.marked;
          collectors.push(new StreamCollector(stream));
        },
      },
    }),
    { collectors, marked: true },
  );
  return pair;
};

/** A stream that the server has finished, and the client not yet. */
const openHalfClosed = async (pair: EndsPair, marked = true): Promise<Ends> => {
  pair.marked = marked;
  const index = pair.collectors.length;
  const near = pair.connection.openStream()!;
  near.endMark = marked;
  const answer = new StreamCollector(near, () => pair.near.poke());
  near.write(Buffer.from('hello'), false);
  await pair.far.until(() => pair.collectors[index]?.length === 5);
  pair.far.streams[index]!.finish();
  await pair.near.until(() => answer.isFinished);
  return { pair, near, far: pair.collectors[index]! };
};

/** Datagrams there and back; every packet of the server's acknowledges what it has. */
const roundTrips = async ({ near, far, connection }: InnerPair, rounds: number): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    const [there, back] = [far.datagrams.length, near.datagrams.length];
    await eventually(() => (far.datagrams.length === there && connection.sendDatagram(Buffer.from('there')), far.datagrams.length > there));
    await eventually(() => (near.datagrams.length === back && far.connection!.sendDatagram(Buffer.from('back')), near.datagrams.length > back));
  }
};

/**
 * The last bytes arrive, their acknowledgement does not, and the packet after them, with the FIN, is lost. The next
 * acknowledgement is for all bytes: QUIC's library holds a stream without a mark for complete then, and forgets it.
 */
const loseTheEnd = async ({ pair, near, far }: Ends): Promise<void> => {
  const { network, clientSocket } = pair;
  const isFromClient = (port: number): boolean => port === clientSocket.external.port;
  network.filter = (_packet, from) => isFromClient(from.port);
  near.write(Buffer.from(' world'), false);
  await pair.far.until(() => far.length === 11);
  let lost = 0;
  network.filter = (_packet, from) => {
    if (isFromClient(from.port)) lost++;
    return false;
  };
  near.finish();
  await eventually(() => lost > 0);
  network.filter = undefined;
};

t.test('a FIN whose packet is lost arrives, though every byte before it was acknowledged', async (t) => {
  const pair = await setUp(t);
  const ends = await openHalfClosed(pair);
  await loseTheEnd(ends);
  t.notOk(ends.far.isFinished);
  await pair.far.until(() => ends.far.isFinished);
  t.equal(ends.far.bytes.toString(), 'hello world', 'the mark is not payload');
});

t.test('without the mark that FIN is forgotten, which is why there is one', async (t) => {
  const pair = await setUp(t);
  const bare = await openHalfClosed(pair, false);
  await loseTheEnd(bare);
  const marked = await openHalfClosed(pair);
  await loseTheEnd(marked);
  await pair.far.until(() => marked.far.isFinished);
  await roundTrips(pair, 20);
  t.notOk(bare.far.isFinished);
});

for (const seed of [1, 2])
  t.test(`every one of 10 streams ends on a network that loses a packet in five, seed ${seed}`, async (t) => {
    const pair = await setUp(t, { seed, loss: 0.2 });
    const collectors: StreamCollector[] = [];
    for (let n = 0; n < 10; n++) {
      const { near, far } = await openHalfClosed(pair);
      near.write(Buffer.from(' world'), false);
      near.finish();
      collectors.push(far);
    }
    await pair.far.until(() => collectors.every(({ isFinished }) => isFinished));
    t.ok(pair.network.stats.lost > 0);
    t.ok(collectors.every(({ bytes }) => bytes.toString() === 'hello world'));
  });
