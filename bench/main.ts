// npm run bench: opens the lab, runs the benchmarks one after another, prints their tables, and writes what was asked
// for. Whatever happens, programs, namespaces and folders are gone afterwards.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchLoss } from './benches/loss.js';
import { benchRelay } from './benches/relay.js';
import { benchEndurance } from './benches/endurance.js';
import { benchGrowth } from './benches/growth.js';
import { benchHandshake } from './benches/handshake.js';
import { benchLatency } from './benches/latency.js';
import { benchTcp } from './benches/tcp.js';
import type { Bench } from './benches/bench.js';
import { openNetwork } from './lab/network.js';
import { Teardown } from './lab/teardown.js';
import { parseBenchOptions, USAGE, type BenchOptions } from './options.js';
import { drawChart } from './report/chart.js';
import { writeIntoDocument } from './report/document.js';
import { currentLoad, describeMachine } from './report/machine.js';
import { BENCHES, type BenchName, type Result } from './report/result.js';
import { tabulate, toText } from './report/table.js';
import { judge, verdictText } from './report/targets.js';

const RUNNERS: Readonly<Record<BenchName, Bench>> = {
  relay: benchRelay,
  tcp: benchTcp,
  latency: benchLatency,
  handshake: benchHandshake,
  growth: benchGrowth,
  loss: benchLoss,
  endurance: benchEndurance,
};

/** Relative to the compiled file. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DOCUMENT = join(ROOT, 'docs', 'performance.md');
const CHART = join(ROOT, 'docs', 'performance.svg');

const CPU_SOURCE = '/proc/self/schedstat';

interface Run {
  readonly results: readonly Result[];
  readonly network: string | undefined;
  readonly notes: readonly string[];
}

const measure = async (options: BenchOptions): Promise<Run> => {
  if (!existsSync(CPU_SOURCE)) throw new Error(`measures CPU time by ${CPU_SOURCE}, which Linux has and this system has not`);
  const lab = new Teardown();
  let interrupted: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interrupted) return;
    interrupted = signal;
    void lab.end();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const notes: string[] = [];
  const note = (line: string): void => {
    notes.push(line);
    console.log(line);
  };
  try {
    const network = openNetwork(options.loopback ? 'loopback' : 'auto');
    lab.add(() => network.close());
    const where = `${network.kind} (${network.reason})`;
    console.log(`network: ${where}`);
    const results: Result[] = [];
    for (const name of options.only) {
      const teardown = lab.child();
      const found = await RUNNERS[name]({ network, teardown, options, note });
      // What it began was ended under it: its figures are none.
      if (interrupted) throw new Error('its programs are gone');
      await teardown.end();
      results.push(...found);
      for (const table of tabulate(found)) console.log(`\n${toText(table)}\n`);
    }
    return { results, network: where, notes };
  } catch (error) {
    if (interrupted) throw new Error(`interrupted by ${interrupted}`, { cause: error });
    throw error;
  } finally {
    await lab.end();
  }
};

/** Earlier figures, but for benchmarks that were run now. */
const readEarlier = ({ from, only }: BenchOptions): Result[] =>
  from === undefined ? [] : (JSON.parse(readFileSync(from, 'utf8')) as Result[]).filter(({ bench }) => !only.includes(bench));

const inOrder = (results: readonly Result[]): Result[] => BENCHES.flatMap((bench) => results.filter((result) => result.bench === bench));

const run = async (options: BenchOptions): Promise<void> => {
  const load = currentLoad();
  const earlier = readEarlier(options);
  const { results: measured, network, notes } = options.only.length > 0 ? await measure(options) : { results: [], network: undefined, notes: [] };
  const results = inOrder([...earlier, ...measured]);
  const verdicts = verdictText(judge(results));
  if (verdicts) console.log(verdicts);
  if (options.json !== undefined) writeFileSync(options.json, `[\n${results.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, drawChart(results));
  if (!options.updateDocs) return;
  writeFileSync(CHART, drawChart(results));
  writeFileSync(DOCUMENT, writeIntoDocument(readFileSync(DOCUMENT, 'utf8'), results, { machine: describeMachine(load), network, notes }));
};

const parsed = parseBenchOptions(process.argv.slice(2));
if (parsed.ok === 'help') console.log(USAGE);
else if (!parsed.ok) {
  console.error(`bench: ${parsed.reason}\n\n${USAGE}`);
  process.exitCode = 2;
} else {
  try {
    await run(parsed.options);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
