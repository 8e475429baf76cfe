// npm run fuzz -- [--target NAME]… [--seconds N] [--seed N] [--save] | --target NAME --input FILE | --list
// Reads arguments and prints; a line per target and one at the end. Exits 1 when something broke, 2 for a wrong argument.

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { FUZZ_FOLDER, instrumentTargets, loadTarget, targetNames } from './engine/load-targets.js';
import { examine } from './engine/judge.js';
import { reproduce, runSession } from './engine/session.js';

const DEFAULT_SECONDS = 60;

interface Options {
  readonly targets: string[];
  readonly seconds: number;
  readonly seed: number;
  readonly save: boolean;
  readonly input: string | undefined;
  readonly list: boolean;
}

class UsageError extends Error {}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      target: { type: 'string', multiple: true }, seconds: { type: 'string' }, seed: { type: 'string' },
      save: { type: 'boolean' }, input: { type: 'string' }, list: { type: 'boolean' },
    },
  });
  const known = targetNames();
  const targets = values.target ?? known;
  const unknown = targets.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`there is no target ${unknown}; there are ${known.join(', ')}`);
  if (values.input !== undefined && targets.length !== 1) throw new UsageError('--input needs one --target');
  return {
    targets,
    seconds: numberOf('seconds', values.seconds, DEFAULT_SECONDS),
    // Another search each time, and said, so that it can be had again.
    seed: numberOf('seed', values.seed, Date.now() % 2 ** 31),
    save: values.save ?? false,
    input: values.input,
    list: values.list ?? false,
  };
};

const numberOf = (name: string, text: string | undefined, otherwise: number): number => {
  const value = text === undefined ? otherwise : Number(text);
  if (!(value >= 0)) throw new UsageError(`--${name} must be a number from 0, not ${text ?? ''}`);
  return value;
};

const runInput = async (name: string, file: string): Promise<boolean> => {
  const input = new Uint8Array(readFileSync(file));
  const finding = examine(await loadTarget(name), input);
  console.log(finding ? `${name}: ${finding.kind}: ${finding.detail}` : `${name}: nothing is wrong with these ${input.length} bytes`);
  return !finding;
};

const search = async ({ targets, seconds, seed, save }: Options): Promise<boolean> => {
  const instrumented = instrumentTargets();
  let broke = 0;
  console.log(`seed ${seed}, ${seconds} s each, ${instrumented.counters} branches instrumented`);
  try {
    for (const name of targets) {
      const report = await runSession({ name, target: await instrumented.load(name), folder: FUZZ_FOLDER, seconds, seed, save });
      broke += report.crashes.length;
      console.log(
        `${name}: ${report.execs} execs, ${Math.round(report.execsPerSecond)} execs/s, ${report.edges} edges, ${report.inputs} inputs in the corpus, ${report.crashes.length} crashes`,
      );
      for (const { finding, path } of report.crashes) console.log(`  ${finding.kind}: ${finding.detail}\n  in ${relative(process.cwd(), path)}\n  ${reproduce(name, path)}`);
    }
  } finally {
    instrumented.remove();
  }
  console.log(`fuzz: ${targets.length} targets, ${broke} crashes`);
  return broke === 0;
};

try {
  const options = readOptions();
  if (options.list) console.log(targetNames().join('\n'));
  else process.exitCode = (options.input === undefined ? await search(options) : await runInput(options.targets[0]!, options.input)) ? 0 : 1;
} catch (error) {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  console.error(isUsage ? error.message : error);
  process.exitCode = 2;
}
