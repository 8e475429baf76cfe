// What every benchmark is given, and how its rounds go: all subjects in turn, several times, so that what else the
// machine does meets all of them alike.

import type { LabNetwork } from '../lab/network.js';
import type { Teardown } from '../lab/teardown.js';
import type { BenchOptions } from '../options.js';
import type { BenchName, Params, Result, Subject } from '../report/result.js';
import { describeParams } from '../report/table.js';
import { Rounds } from '../report/statistics.js';

export interface BenchContext {
  readonly network: LabNetwork;
  readonly teardown: Teardown;
  readonly options: BenchOptions;
  /** A line for people: what goes on, what is left out and why. */
  readonly note: (line: string) => void;
}

export type Bench = (context: BenchContext) => Promise<Result[]>;

export const ROUNDS = 3;
const MAX_FAILURES = 2;

/** One thing that is measured in every round. */
export interface Measurement {
  readonly subject: Subject;
  readonly params: Params;
  measure(): Promise<Readonly<Record<string, number>>>;
}

const UNITS: Readonly<Record<string, string>> = {
  cpu_us_per_datagram: 'µs',
  cpu_us_of_part: 'µs',
  datagrams_per_s: '1/s',
  drops: 'datagrams',
  mbit_per_s: 'Mbit/s',
  p50_us: 'µs',
  p99_us: 'µs',
  p999_us: 'µs',
  added_p50_us: 'µs',
  agents_per_s: '1/s',
  new_agent_ms: 'ms',
  cold_flow_ms: 'ms',
  kib_per_connection: 'KiB',
  idle_cpu_percent: '%',
  mib_resident: 'MiB',
  mib_grown: 'MiB',
};

export const toResult = (bench: BenchName, subject: Subject, metric: string, value: number, params: Params): Result => {
  const unit = UNITS[metric];
  if (unit === undefined) throw new Error(`the metric ${metric} has no unit`);
  return { bench, subject, metric, unit, value: Number(value.toPrecision(4)), params };
};

/** Medians of the rounds. A round that fails is noted; a measurement whose rounds fail twice is left out. */
export const interleave = async (bench: BenchName, measurements: readonly Measurement[], { note }: BenchContext, rounds = ROUNDS): Promise<Result[]> => {
  const entries = measurements.map((measurement) => ({ measurement, rounds: new Rounds(), failures: 0 }));
  for (let round = 0; round < rounds; round++)
    for (const entry of entries) {
      if (entry.failures === MAX_FAILURES) continue;
      try {
        entry.rounds.add(await entry.measurement.measure());
      } catch (error) {
        entry.failures++;
        const [reason] = (error as Error).message.split('\n');
        const { subject, params } = entry.measurement;
        note(`${bench}: ${[subject, describeParams(params)].filter(Boolean).join(', ')} ${entry.failures === MAX_FAILURES ? 'is left out' : 'misses a round'}: ${reason!}`);
      }
    }
  return entries.flatMap(({ measurement: { subject, params }, rounds: figures, failures }) =>
    failures === MAX_FAILURES ? [] : figures.medians().map(([metric, value]) => toResult(bench, subject, metric, value, params)),
  );
};
