// Credit for streams whose packets are lost. quiche 0.18 never sends a MAX_STREAMS again: what it gave comes with the next stream
// that ends, and until then the peer may open fewer than it is allowed.

import t from 'tap';
import { MAX_FLOWS_PER_AGENT } from '@ztna/app-connector';
import { INNER_PROFILE, type QuicStream } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createInnerPair } from './pair.js';
import { StreamCollector } from './recorder.js';

const PLACES = INNER_PROFILE.maxStreams;
/** So few that one packet ends them all: nothing may keep a second one back while no acknowledgement comes. */
const LOST = 100;

interface Flow {
  readonly stream: QuicStream;
  readonly heard: StreamCollector;
}

void t.test('an agent that never hears that its flows are over at the connector can open as many as it may have', async (t) => {
  const far: Flow[] = [];
  const collect = (stream: QuicStream): Flow => {
    stream.endMark = true;
    return { stream, heard: new StreamCollector(stream) };
  };
  const pair = await createInnerPair(t, {}, { far: { onStream: (_connection, stream) => far.push(collect(stream)) } });
  const agent = pair.connection;
  const connector = pair.far.connection!;
  const open = (count: number): Flow[] => {
    const flows: Flow[] = [];
    for (let stream; flows.length < count && (stream = agent.openStream()); ) {
      flows.push(collect(stream));
      stream.lead(Buffer.from('x'));
    }
    return flows;
  };
  const finish = (flows: Flow[]): void => flows.forEach(({ stream }) => stream.finish());
  const isOver = ({ stream }: Flow): boolean => connector.quic.streamCapacity(stream.id) < 0;

  const openAll = async (): Promise<Flow[]> => {
    far.length = 0;
    const near = open(MAX_FLOWS_PER_AGENT);
    t.equal(near.length, MAX_FLOWS_PER_AGENT);
    await eventually(() => far.length === MAX_FLOWS_PER_AGENT && far.every(({ heard }) => heard.length === 1));
    return near;
  };
  const answerAll = async (near: Flow[]): Promise<void> => {
    finish(far);
    await eventually(() => near.every(({ heard }) => heard.isFinished));
  };

  // QUIC gives credit at once, and not when half of it is used, to a peer that has opened many.
  const first = await openAll();
  await answerAll(first);
  finish(first);
  await eventually(() => far.every(isOver));

  const near = await openAll();
  await answerAll(near);
  finish(near.slice(LOST));
  await eventually(() => agent.quic.streamsLeft() === PLACES - LOST);
  let lost = 0;
  pair.network.filter = (_packet, { port }) => port !== pair.server.local.port || ++lost === 0;
  finish(near.slice(0, LOST));
  await eventually(() => far.every(isOver) && lost > 0);
  pair.network.filter = undefined;
  agent.ping();
  await eventually(() => agent.quic.datagramsToSend() === 0 && agent.streamCount === 0);
  t.equal(agent.quic.streamsLeft(), PLACES - LOST, 'the credit was lost');

  const again = await openAll();
  again[0]!.stream.finish();
  far[0]!.stream.finish();
  await eventually(() => agent.quic.streamsLeft() === PLACES - (MAX_FLOWS_PER_AGENT - 1));
});
