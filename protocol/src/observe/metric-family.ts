// What a metric is before anything renders it: a name, closed sets of labels, and how to read its values.
// Each component describes its own families beside the counters it keeps anyway; values are read when
// somebody scrapes, so that counting costs nothing more. prometheus-registry.ts renders them.

import { FAILURE_CODES, type FailureCode } from '../failure-codes.js';
import type { LatencyHistogram } from './latency-histogram.js';

/** Every value a label can have. Never text from a peer: not an identity, an address or a name of its choosing. */
export interface LabelSet<Value extends string = string> {
  readonly values: readonly Value[];
  /** What docs/metrics.md calls a set that is too long, or too particular, to list. */
  readonly described?: string;
}

export type Labels = Readonly<Record<string, string>>;

interface Family {
  /** Prometheus's rules: base units (seconds, bytes), `_total` for counters. */
  readonly name: string;
  /** One sentence for people, without a full stop. */
  readonly help: string;
  readonly labels?: Readonly<Record<string, LabelSet>>;
}

export interface NumberFamily extends Family {
  readonly type: 'counter' | 'gauge';
  /** Calls `emit` once for each combination of labels that has a value. */
  readonly read: (emit: (value: number, labels?: Labels) => void) => void;
}

/** A histogram as it stands: a `LatencyHistogram`, or what was copied of one. */
export type HistogramReading = Pick<LatencyHistogram, 'bounds' | 'count' | 'sum' | 'cumulative'>;

export interface HistogramFamily extends Family {
  readonly type: 'histogram';
  readonly read: (emit: (histogram: HistogramReading, labels?: Labels) => void) => void;
}

export type MetricFamily = NumberFamily | HistogramFamily;

/** A metric without labels. */
export const single = (type: NumberFamily['type'], name: string, help: string, value: () => number): NumberFamily => ({
  type,
  name,
  help,
  read: (emit) => emit(value()),
});

/** A metric with one label, every value of which is always there. */
export const byLabel = <Value extends string>(
  { type, name, help, label, set }: Pick<NumberFamily, 'type' | 'name' | 'help'> & { label: string; set: LabelSet<Value> },
  value: (of: Value) => number,
): NumberFamily => ({
  type,
  name,
  help,
  labels: { [label]: set },
  read: (emit) => {
    for (const of of set.values) emit(value(of), { [label]: of });
  },
});

export type Outcome = 'ok' | FailureCode;

/** Why something failed. */
export const FAILURES: LabelSet<FailureCode> = { values: Object.keys(FAILURE_CODES) as FailureCode[], described: 'a failure code' };

/** How something ended: `ok`, or the failure code that says why not. */
export const OUTCOMES: LabelSet<Outcome> = {
  values: ['ok', ...FAILURES.values],
  described: '`ok` or a failure code',
};
