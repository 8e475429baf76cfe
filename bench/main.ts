// npm run bench: opens the lab, runs the benchmarks one after another, prints their tables, and writes what was asked
// for. Whatever happens, programs, namespaces and folders are gone afterwards.

import { readFileSync, writeFileSync } from 'node:fs';
import { benchRelay } from './benches/relay.js';
import { benchGrowth } from './benches/growth.js';
import { benchHandshake } from './benches/handshake.js';
import { benchLatency } from './benches/latency.js';
import { benchTcp } from './benches/tcp.js';
import type { Bench } from './benches/bench.js';
import { openNetwork } from './lab/network.js';
import { Teardown } from './lab/teardown.js';
import { parseBenchOptions, USAGE, type BenchOptions } from './options.js';
import type { BenchName, Result } from './report/result.js';
import { tabulate, toText } from './report/table.js';

const RUNNERS: Partial<Record<BenchName, Bench>> = {
  relay: benchRelay,
  tcp: benchTcp,
  latency: benchLatency,
  handshake: benchHandshake,
  growth: benchGrowth,
};

const note = (line: string): void => console.log(line);

const measure = async (options: BenchOptions): Promise<Result[]> => {
  const lab = new Teardown();
  let interrupted: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interrupted) return;
    interrupted = signal;
    void lab.end();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    const network = openNetwork(options.loopback ? 'loopback' : 'auto');
    lab.add(() => network.close());
    note(`network: ${network.kind} (${network.reason})`);
    const results: Result[] = [];
    for (const name of options.only) {
      const teardown = lab.child();
      const found = await RUNNERS[name]!({ network, teardown, options, note });
      await teardown.end();
      results.push(...found);
      for (const table of tabulate(found)) console.log(`\n${toText(table)}\n`);
    }
    return results;
  } catch (error) {
    if (interrupted) throw new Error(`interrupted by ${interrupted}`, { cause: error });
    throw error;
  } finally {
    await lab.end();
  }
};

const run = async (options: BenchOptions): Promise<void> => {
  const results = options.from === undefined ? await measure(options) : (JSON.parse(readFileSync(options.from, 'utf8')) as Result[]);
  if (options.json !== undefined) writeFileSync(options.json, `[\n${results.map((result) => `  ${JSON.stringify(result)}`).join(',\n')}\n]\n`);
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
