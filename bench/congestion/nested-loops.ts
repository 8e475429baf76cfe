// Compares congestion controls, outer and inner, on a path that loses and delays: what a bulk transfer reaches, and how
// long a small question waits, alone and beside the transfer. The table behind docs/adr/0016. Not a test: it takes minutes.
//
//   node bench/dist-test/congestion/nested-loops.js [--loss 0,0.01] [--delay 20,80] [--outer bbr] [--inner cubic] [--seconds 5] [--json FILE]

import { writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { EndpointConnection, QuicStream } from '@ztna/protocol';
import { openNestedPath, type CongestionControl, type NestedPath, type PathInit } from './nested-path.js';

/** 8 Mbit/s: low enough for a busy machine; the bandwidth-delay product is 16 or 63 full packets. */
const RATE = { bytesPerSecond: 1_000_000, buffer: 64 };
const ALL: readonly CongestionControl[] = ['cubic', 'bbr', 'reno'];
const QUESTION_BYTES = 64;
const QUESTION_INTERVAL_MS = 5;
const CHUNK = Buffer.alloc(64 * 1024, 1);
const READ_BUFFER = Buffer.allocUnsafe(256 * 1024);
/** An answer that takes longer has not come. */
const PATIENCE_MS = 1_000;

interface Answers {
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  /** The longest time without an answer, ms. */
  readonly gap: number;
}

interface Row {
  readonly outer: CongestionControl;
  readonly inner: CongestionControl;
  readonly loss: number;
  readonly roundTripMs: number;
  /** Questions alone, and what the connector believes the round trip to be after them, ms. */
  readonly alone: Answers;
  readonly believedMs: number;
  readonly mbitPerSecond: number;
  readonly loaded: Answers;
}

const { values } = parseArgs({
  options: {
    loss: { type: 'string', default: '0,0.001,0.01,0.03' },
    delay: { type: 'string', default: '20,80' },
    outer: { type: 'string', default: ALL.join(',') },
    inner: { type: 'string', default: ALL.join(',') },
    seconds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});

const controls = (text: string): CongestionControl[] => ALL.filter((one) => text.split(',').includes(one));
const numbers = (text: string): number[] => text.split(',').map(Number);

class Questions {
  readonly times: number[] = [];
  asked = 0;
  #gap = 0;
  #last = 0;

  hear(answer: Buffer): void {
    const now = performance.now();
    this.times.push(now - answer.readDoubleBE(0));
    this.#gap = Math.max(this.#gap, now - this.#last);
    this.#last = now;
  }

  async ask(from: EndpointConnection, milliseconds: number): Promise<Answers> {
    this.times.length = 0;
    this.asked = 0;
    this.#gap = 0;
    this.#last = performance.now();
    const until = this.#last + milliseconds;
    while (performance.now() < until) {
      const question = Buffer.alloc(QUESTION_BYTES);
      question.writeDoubleBE(performance.now());
      from.sendDatagram(question);
      this.asked++;
      await wait(QUESTION_INTERVAL_MS);
    }
    this.#gap = Math.max(this.#gap, performance.now() - this.#last);
    await wait(PATIENCE_MS);
    const sorted = [...this.times].sort((a, b) => a - b);
    const percentile = (part: number): number => Math.round((sorted[Math.ceil(sorted.length * part) - 1] ?? Infinity) * 10) / 10;
    return { answered: Math.round((this.times.length / this.asked) * 1000) / 1000, p50: percentile(0.5), p99: percentile(0.99), gap: Math.round(this.#gap) };
  }
}

/** Writes for as long as the stream takes bytes. */
const pour = (stream: QuicStream): void => {
  const write = (): void => {
    while (stream.write(CHUNK, false) === CHUNK.length);
  };
  stream.handler = { onReadable: () => void stream.read(READ_BUFFER), onWritable: write, onReset: () => undefined };
  write();
};

const open = async (init: PathInit, questions: Questions): Promise<NestedPath> =>
  openNestedPath(init, {
    agent: { onDatagram: (_connection, payload) => questions.hear(payload) },
    connector: {
      onDatagram: (connection, payload, length) => void connection.sendDatagram(payload.subarray(0, length)),
      onStream: (_connection, stream) => pour(stream),
    },
  });

const measure = async (init: PathInit, milliseconds: number): Promise<Row> => {
  const questions = new Questions();
  const thin = await open(init, questions);
  const alone = await questions.ask(thin.agent, milliseconds);
  const believedMs = Math.round(thin.connector.quic.activePath()?.rttMs ?? NaN);
  await thin.close();

  const bulk = await open(init, questions);
  const stream = bulk.agent.openStream()!;
  let received = 0;
  stream.handler = {
    onReadable: () => {
      for (let count; (count = stream.read(READ_BUFFER)) > 0; ) received += count;
    },
    onWritable: () => undefined,
    onReset: () => undefined,
  };
  stream.write(Buffer.from('go'), false);
  const from = performance.now();
  const asking = questions.ask(bulk.agent, milliseconds);
  await wait(milliseconds);
  const mbitPerSecond = Math.round((received * 8) / (performance.now() - from) / 10) / 100;
  const loaded = await asking;
  await bulk.close();
  const { outer, inner, loss, roundTripMs } = init;
  return { outer, inner, loss, roundTripMs, alone, believedMs, mbitPerSecond, loaded };
};

const rows: Row[] = [];
console.log('loss\trtt\touter\tinner\tMbit/s\tloaded p50\tp99\tgap\tanswered\talone p50\tp99\tgap\tbelieved');
for (const roundTripMs of numbers(values.delay)) {
  for (const loss of numbers(values.loss)) {
    for (const outer of controls(values.outer)) {
      for (const inner of controls(values.inner)) {
        const row = await measure({ outer, inner, seed: Number(values.seed), loss, roundTripMs, ...RATE }, Number(values.seconds) * 1000);
        rows.push(row);
        const { loaded, alone } = row;
        console.log([loss, roundTripMs, outer, inner, row.mbitPerSecond, loaded.p50, loaded.p99, loaded.gap, loaded.answered, alone.p50, alone.p99, alone.gap, row.believedMs].join('\t'));
      }
    }
  }
}
if (values.json) writeFileSync(values.json, JSON.stringify(rows, undefined, 1));
process.exit(0);
