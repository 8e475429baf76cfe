// The abort of a stream over a network that loses the very packets which tell of it, in every state a stream can be in:
// the peer hears of it, and both sides get the stream's place back.

import t, { type Test } from 'tap';
import { MAX_FLOWS_PER_AGENT } from '@ztna/app-connector';
import { encodeAbortNote, failureNumber, INNER_PROFILE, OUTER_PROFILE, STREAM_GONE, type EndpointConnection, type QuicStream } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createInnerPair, type InnerPair } from './pair.js';
import { innerClient, innerServer } from './pki.js';
import { StreamCollector } from './recorder.js';

const WINDOW = 2 * 1024 * 1024;
const STREAMS = INNER_PROFILE.maxStreams;

interface End {
  readonly connection: EndpointConnection;
  readonly stream: QuicStream;
  readonly heard: StreamCollector;
  readonly port: number;
}

interface Ends {
  readonly pair: InnerPair;
  /** Who will abort, and who is to hear of it. */
  readonly from: End;
  readonly to: End;
}

type Side = 'agent' | 'connector';

interface Setup extends InnerPair {
  /** Whether the streams opened from now on have the mark, on both sides. */
  marked: boolean;
  readonly collectors: StreamCollector[];
  onFarStream: ((stream: QuicStream) => void) | undefined;
}

const setUp = async (t: Test, network: { seed?: number; loss?: number } = {}): Promise<Setup> => {
  const collectors: StreamCollector[] = [];
  const setup: Setup = Object.assign(
    await createInnerPair(t, network, {
      far: {
        onStream: (_connection, stream) => {
          stream.endMark = setup.marked;
          collectors.push(new StreamCollector(stream, () => setup.far.poke()));
          setup.onFarStream?.(stream);
        },
      },
    }),
    { marked: true, collectors, onFarStream: undefined },
  );
  return setup;
};

/** A stream on which each side has had a byte of the other's. */
const open = async (pair: Setup, aborter: Side): Promise<Ends> => {
  const index = pair.collectors.length;
  const near = pair.connection.openStream()!;
  near.endMark = pair.marked;
  const nearHeard = new StreamCollector(near, () => pair.near.poke());
  near.write(Buffer.from('a'), false);
  await pair.far.until(() => pair.collectors[index]?.length === 1);
  const far = pair.far.streams.at(-1)!;
  far.write(Buffer.from('c'), false);
  await pair.near.until(() => nearHeard.length === 1);
  const agent: End = { connection: pair.connection, stream: near, heard: nearHeard, port: pair.clientSocket.external.port };
  const connector: End = { connection: pair.far.connection!, stream: far, heard: pair.collectors[index]!, port: pair.server.local.port };
  return aborter === 'agent' ? { pair, from: agent, to: connector } : { pair, from: connector, to: agent };
};

/** Loses every packet of the aborter's from before it aborts until some were lost, and acknowledgements of what came before. */
const abortUnheard = async ({ pair: { network }, from }: Ends): Promise<void> => {
  let lost = 0;
  network.filter = (_packet, { port }) => {
    if (port === from.port) lost++;
    return false;
  };
  from.stream.abort('backend_timeout');
  await eventually(() => lost > 0);
  network.filter = undefined;
};

/** The last byte arrives, but not its acknowledgement: the next one will be for that byte alone. */
const writeUnacknowledged = async ({ pair: { network }, from, to }: Ends): Promise<void> => {
  const before = to.heard.length;
  network.filter = (_packet, { port }) => port === from.port;
  from.stream.write(Buffer.from('!'), false);
  await eventually(() => to.heard.length > before);
};

const finishTo = async (ends: Ends): Promise<void> => {
  ends.to.stream.finish();
  await eventually(() => ends.from.heard.isFinished);
};

/** What happens on the stream before it is aborted. */
const STATES: Record<string, (ends: Ends) => Promise<void>> = {
  'while both sides write': () => Promise.resolve(),
  'after the other side has finished': finishTo,
  'after the other side has finished, with bytes not acknowledged': async (ends) => {
    await finishTo(ends);
    await writeUnacknowledged(ends);
  },
  'after this side has finished': async ({ from, to }) => {
    from.stream.finish();
    await eventually(() => to.heard.isFinished);
  },
  'with bytes written in the same turn': ({ from }) => {
    from.stream.write(Buffer.alloc(WINDOW), false);
    return Promise.resolve();
  },
  'while the other side does not read and its window is full': async ({ from, to }) => {
    to.stream.handler = { ...to.stream.handler!, onReadable: () => undefined };
    const more = (): void => void from.stream.write(Buffer.alloc(WINDOW), false);
    from.stream.handler = { ...from.stream.handler!, onWritable: more };
    more();
    await eventually(() => from.connection.quic.streamCapacity(from.stream.id) === 0 && from.connection.quic.datagramsToSend() === 0);
  },
  'while the other side writes as much as it can': ({ to }) => {
    const more = (): void => {
      while (to.stream.write(Buffer.alloc(64 * 1024), false) > 0);
    };
    to.stream.handler = { ...to.stream.handler!, onWritable: more };
    more();
    return Promise.resolve();
  },
};

for (const aborter of ['agent', 'connector'] as const)
  for (const [state, reach] of Object.entries(STATES))
    void t.test(`an abort by the ${aborter} ${state} is heard though its packets are lost, and the stream's place comes back`, async (t) => {
      const pair = await setUp(t);
      const ends = await open(pair, aborter);
      await reach(ends);
      await abortUnheard(ends);
      await eventually(() => ends.to.heard.resetCode !== undefined);
      t.equal(ends.to.heard.resetCode, 'backend_timeout');
      t.equal(ends.to.heard.resets, 1);
      t.equal(ends.from.heard.resetCode, undefined, 'who aborts is not told');
      await eventually(() => [pair.connection, pair.far.connection!].every(({ streamCount }) => streamCount === 0));
      t.equal(await placesOf(pair), STREAMS);
    });

void t.test('an abort that overtakes its stream ends it when it comes', async (t) => {
  const pair = await setUp(t);
  const stream = pair.connection.openStream()!;
  stream.endMark = true;
  stream.finish();
  pair.network.filter = () => false;
  pair.connection.flush();
  pair.network.filter = undefined;
  stream.abort('backend_timeout');
  await pair.far.until(() => pair.collectors.length === 1);
  t.same([pair.collectors[0]!.resetCode, pair.collectors[0]!.resets], ['backend_timeout', 1]);
});

for (const aborter of ['agent', 'connector'] as const)
  void t.test(`more streams than there are places, all aborted by the ${aborter} in the middle of a write, on a network that loses packets`, async (t) => {
    const pair = await setUp(t, { seed: 3, loss: 0.05 });
    const cut = (stream: QuicStream): void => {
      stream.write(Buffer.alloc(WINDOW), false);
      stream.abort('backend_timeout');
    };
    if (aborter === 'connector') pair.onFarStream = cut;
    const agents: StreamCollector[] = [];
    for (let n = 0; n < STREAMS + 50; n++) {
      await eventually(() => pair.connection.quic.streamsLeft() > 0);
      const stream = pair.connection.openStream()!;
      stream.endMark = true;
      agents.push(new StreamCollector(stream));
      stream.lead(Buffer.from('x'));
      if (aborter === 'agent') cut(stream);
    }
    const heard = aborter === 'agent' ? pair.collectors : agents;
    await eventually(() => heard.length === STREAMS + 50 && heard.every(({ resets }) => resets === 1));
    t.ok(pair.network.stats.lost > 0);
    t.ok(heard.every(({ resetCode }) => resetCode === 'backend_timeout'));
    pair.onFarStream = undefined;
    // Not all of them: credit may have been lost with the last packets (lost-credit.test.ts).
    t.equal(await placesOf(pair, MAX_FLOWS_PER_AGENT), MAX_FLOWS_PER_AGENT);
  });

/** Notes that no agent writes, and what comes of them. */
const UNLAWFUL: Record<string, (connection: EndpointConnection) => void> = {
  'a code beyond 2^53 - 1': ({ quic }) => void quic.writeStream(2, Uint8Array.of(4, ...Array<number>(8).fill(0xff)), false),
  'an end of the notes': ({ quic }) => void quic.writeStream(2, Uint8Array.of(4, 0), true),
  'a reset of the notes': ({ quic }) => {
    quic.writeStream(2, Uint8Array.of(4), false);
    quic.resetStream(2, 0);
  },
};
for (const [what, send] of Object.entries(UNLAWFUL))
  void t.test(`${what} ends the connection`, async (t) => {
    const pair = await setUp(t);
    send(pair.connection);
    pair.connection.markDirty();
    t.match(await pair.far.ended(), { code: 'protocol_error', by: 'local' });
  });

void t.test('a note for a stream that is over, or never was, or is the wrong way round, means nothing', async (t) => {
  const pair = await setUp(t);
  const over = await open(pair, 'agent');
  over.from.stream.finish();
  over.to.stream.finish();
  await eventually(() => pair.connection.streamCount === 0);
  const code = failureNumber('flow_reset');
  pair.connection.quic.writeStream(2, Buffer.concat([over.from.stream.id, 1, 2 ** 40, 4096].map((streamId) => encodeAbortNote({ streamId, code }))), false);
  pair.connection.markDirty();
  const next = await open(pair, 'agent');
  t.equal(next.to.heard.resets, 0);
});

void t.test('a second unidirectional stream is not to be had, nor any on an outer connection', async (t) => {
  const pair = await setUp(t);
  t.equal(pair.connection.quic.writeStream(6, Uint8Array.of(0), false), STREAM_GONE);
  const outer = await createInnerPair(t, {}, { clientConfig: innerClient({ noteWindow: 0 }), serverConfig: innerServer({ noteWindow: OUTER_PROFILE.noteWindow }) });
  t.equal(outer.connection.quic.writeStream(2, Uint8Array.of(0), false), STREAM_GONE);
});

void t.test("QUIC's own reset of a stream whose other side has finished is forgotten, which is why there are notes", async (t) => {
  const pair = await setUp(t);
  pair.marked = false;
  const bare = await open(pair, 'connector');
  await finishTo(bare);
  await writeUnacknowledged(bare);
  await abortUnheard(bare);
  pair.marked = true;
  for (let n = 0; n < 20; n++) {
    const later = await open(pair, 'connector');
    await abortUnheard(later);
    await eventually(() => later.to.heard.resetCode !== undefined);
  }
  t.equal(bare.to.heard.resetCode, undefined);
});

/** How many streams the agent may have open at once; waits until so many places are free. */
const placesOf = async (pair: Setup, wanted = STREAMS): Promise<number> => {
  let places = 0;
  await eventually(() => {
    for (let stream; places < wanted && (stream = pair.connection.openStream()); places++) stream.lead(Buffer.from('x'));
    return places === wanted;
  });
  return places;
};
