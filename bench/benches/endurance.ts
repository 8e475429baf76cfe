// A transfer at full speed for minutes, both ways in turn, and the memory of relay, connector and agent meanwhile: after
// the first minute none may grow. Only run when named, as it takes ten minutes.

import type { Program } from '../lab/program.js';
import { EchoClient } from '../lab/echo-client.js';
import { runIperf } from '../lab/iperf.js';
import { startLoadProgram } from '../lab/load-programs.js';
import { Overlay } from '../lab/overlay.js';
import { findTools, freePort } from '../lab/tools.js';
import type { Result } from '../report/result.js';
import { median } from '../report/statistics.js';
import { toResult, type Bench } from './bench.js';

const SAMPLE_MS = 1000;
const RUN_S = 30;
const STREAMS = 4;
const MIB = 1024 * 1024;
const LOCAL = '127.0.0.1';

export const benchEndurance: Bench = async (context) => {
  const { network, teardown, options, note } = context;
  const tools = findTools('iperf3');
  if (!tools.ok) {
    note(`endurance is left out: ${tools.reason}`);
    return [];
  }
  const overlay = await Overlay.start({ network, teardown, agents: ['agent-1'], connectors: { 'connector-1': ['echo', 'iperf'] } });
  const echo = await startLoadProgram(network.connector, teardown, 'echo-server', { host: LOCAL });
  const port = await freePort();
  const connector = await overlay.startConnector('connector-1', { echo: `${LOCAL}:${echo.number('port')}`, iperf: `${LOCAL}:${port}` });
  const { agent, ports } = await overlay.startAgent('agent-1', ['echo', 'iperf']);
  await (await EchoClient.start(network, teardown)).reach({ host: LOCAL, port: ports.get('echo')! });

  const watches = Object.entries({ relay: overlay.relay, connector, agent }).map(([name, program]) => new MemoryWatch(name, program));
  const timer = setInterval(() => watches.forEach((watch) => watch.sample()), SAMPLE_MS);
  teardown.add(() => clearInterval(timer));
  const { minutes } = options;
  note(`endurance: iperf3 at full speed, ${STREAMS} streams, ${RUN_S} s up and down in turn, for ${minutes} minutes`);
  const rates: number[] = [];
  const end = performance.now() + minutes * 60_000;
  for (let run = 0; performance.now() < end; run++)
    rates.push(await runIperf(context, { iperf3: tools.path.iperf3, port, address: { host: LOCAL, port: ports.get('iperf')! }, seconds: RUN_S, streams: STREAMS, isDownload: run % 2 === 1 }));
  for (const watch of watches) note(`endurance: ${watch.describe()}`);
  return [toResult('endurance', 'ztna', 'mbit_per_s', median(rates), { minutes }), ...watches.flatMap((watch) => watch.results(minutes))];
};

/** One process: a sample each second. A heap goes up and down with its collections, so parts of the run are compared by their medians. */
class MemoryWatch {
  readonly #name: string;
  readonly #program: Program;
  readonly #samples: number[] = [];

  constructor(name: string, program: Program) {
    this.#name = name;
    this.#program = program;
  }

  sample(): void {
    if (!this.#program.hasEnded) this.#samples.push(this.#program.memoryBytes() / MIB);
  }

  /** A leak goes on from tenth to tenth; a heap that settles does not. */
  describe(): string {
    const tenth = Math.max(1, Math.floor(this.#samples.length / 10));
    const medians = Array.from({ length: 10 }, (_, n) => Math.round(median(this.#samples.slice(n * tenth, (n + 1) * tenth))));
    return `${this.#name}, median MiB in each tenth of the run: ${medians.join(', ')}`;
  }

  /** The second minute (of a short run, its second tenth) is where it starts; the last tenth is where it ends. */
  results(minutes: number): Result[] {
    const samples = this.#samples;
    const tenth = Math.max(1, Math.floor(samples.length / 10));
    const early = median(samples.slice(tenth, 2 * tenth));
    const late = median(samples.slice(-tenth));
    const params = { minutes, process: this.#name };
    return [toResult('endurance', 'ztna', 'mib_resident', late, params), toResult('endurance', 'ztna', 'mib_grown', late - early, params)];
  }
}
