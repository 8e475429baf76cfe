// What a benchmark finds: one line per figure, the same in JSON, tables and charts.

/** In their order; the last is only run when named. */
export const BENCHES = ['relay', 'tcp', 'latency', 'handshake', 'growth', 'loss', 'endurance'] as const;
export type BenchName = (typeof BENCHES)[number];
export const USUAL_BENCHES: readonly BenchName[] = BENCHES.slice(0, -1);

/** What is measured: ours, ours over `node:dgram`, a path without any of it, and other people's programs. */
export const SUBJECTS = ['ztna', 'ztna-plain', 'floor', 'coturn', 'nebula', 'ssh'] as const;
export type Subject = (typeof SUBJECTS)[number];

export type Params = Readonly<Record<string, string | number | boolean>>;

export interface Result {
  readonly bench: BenchName;
  readonly subject: Subject;
  /** With the unit at its end, such as `p50_us`. */
  readonly metric: string;
  readonly unit: string;
  /** The median of the rounds, where there were several. */
  readonly value: number;
  /** What tells this figure from others of the same metric. */
  readonly params: Params;
}

/** The one figure that matches; undefined when it was not measured. */
export const findResult = (results: readonly Result[], bench: BenchName, subject: Subject, metric: string, params: Params = {}): number | undefined =>
  results.find((result) => result.bench === bench && result.subject === subject && result.metric === metric && Object.entries(params).every(([key, value]) => result.params[key] === value))?.value;

/** Three significant digits, but never fewer than the whole number. */
export const formatValue = (value: number): string => {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US').replaceAll(',', ' ');
  return String(Number(value.toPrecision(3)));
};
