// What was aimed at, as ratios within one run, and whether this one met it. A target without its figures is not judged.

import { findResult, formatValue, type BenchName, type Params, type Result, type Subject } from './result.js';

export interface Verdict {
  readonly measure: string;
  readonly target: string;
  /** As text; `–` when it was not measured. */
  readonly seen: string;
  readonly isMet: boolean | undefined;
}

type Look = (bench: BenchName, subject: Subject, metric: string, params?: Params) => number | undefined;

interface Target {
  readonly measure: string;
  readonly bound: number;
  readonly atLeast?: true;
  /** Follows numbers; `×` for ratios. */
  readonly unit: string;
  readonly value: (look: Look) => number | undefined;
}

const ratio = (above: number | undefined, below: number | undefined): number | undefined => (above === undefined || below === undefined ? undefined : above / below);

/** The worse of the two directions. */
const tcpRatio = (look: Look, streams: number): number | undefined => {
  const ratios = ['up', 'down'].map((direction) => ratio(look('tcp', 'ztna', 'mbit_per_s', { streams, direction }), look('tcp', 'nebula', 'mbit_per_s', { streams, direction })));
  return ratios.includes(undefined) ? undefined : Math.min(...(ratios as number[]));
};

const FEW = 10;
const MANY = 10_000;

const growthRatio = (look: Look, load: string): number | undefined =>
  ratio(look('growth', 'ztna', 'cpu_us_per_datagram', { connections: MANY, load }), look('growth', 'ztna', 'cpu_us_per_datagram', { connections: FEW, load }));

/** A heap's median moves by so much between its collections. */
const NO_GROWTH_MIB = 8;

const mostGrown = (look: Look): number | undefined => {
  const grown = ['relay', 'connector', 'agent'].map((process) => look('endurance', 'ztna', 'mib_grown', { process }));
  return grown.includes(undefined) ? undefined : Math.max(...(grown as number[]));
};

const TARGETS: readonly Target[] = [
  {
    measure: 'relay CPU per datagram, against plain `node:dgram`', bound: 0.55, unit: '×',
    value: (look) => ratio(look('relay', 'ztna', 'cpu_us_per_datagram'), look('relay', 'ztna-plain', 'cpu_us_per_datagram')),
  },
  {
    measure: 'the same, against coturn, which encrypts nothing', bound: 2.5, unit: '×',
    value: (look) => ratio(look('relay', 'ztna', 'cpu_us_per_datagram'), look('relay', 'coturn', 'cpu_us_per_datagram')),
  },
  { measure: 'TCP against Nebula through its relay, 1 stream, the worse direction', bound: 1, atLeast: true, unit: '×', value: (look) => tcpRatio(look, 1) },
  { measure: 'the same, 8 streams', bound: 1, atLeast: true, unit: '×', value: (look) => tcpRatio(look, 8) },
  {
    measure: 'added p50 latency, idle, against Nebula’s', bound: 1.5, unit: '×',
    value: (look) => ratio(look('latency', 'ztna', 'added_p50_us'), look('latency', 'nebula', 'added_p50_us')),
  },
  { measure: 'cost per datagram at 10 000 connections against 10, load over one', bound: 1.15, unit: '×', value: (look) => growthRatio(look, 'over one') },
  { measure: 'the same, load over all', bound: 1.15, unit: '×', value: (look) => growthRatio(look, 'over all') },
  { measure: 'memory per idle connection at the relay, 10 000 connections', bound: 64, unit: ' KiB', value: (look) => look('growth', 'ztna', 'kib_per_connection', { connections: MANY }) },
  { measure: 'growth of any process in a run at full speed, after its first tenth', bound: NO_GROWTH_MIB, unit: ' MiB', value: (look) => mostGrown(look) },
];

export const judge = (results: readonly Result[]): Verdict[] => {
  const look: Look = (bench, subject, metric, params) => findResult(results, bench, subject, metric, params);
  return TARGETS.map(({ measure, bound, atLeast, unit, value }) => {
    const seen = value(look);
    return {
      measure,
      target: `at ${atLeast ? 'least' : 'most'} ${bound}${unit}`,
      seen: seen === undefined ? '–' : `${formatValue(seen)}${unit}`,
      isMet: seen === undefined ? undefined : atLeast ? seen >= bound : seen <= bound,
    };
  });
};

const describe = ({ isMet }: Verdict): string => (isMet === undefined ? 'not measured' : isMet ? 'met' : 'missed');

/** Those that were measured, a line each. */
export const verdictText = (verdicts: readonly Verdict[]): string =>
  verdicts.filter(({ isMet }) => isMet !== undefined).map((verdict) => `${describe(verdict).padEnd(6)}  ${verdict.seen.padStart(9)}  (${verdict.target})  ${verdict.measure}`).join('\n');

export const verdictMarkdown = (verdicts: readonly Verdict[]): string =>
  ['| measure | target | seen | |', '|---|---|---:|---|', ...verdicts.map((verdict) => `| ${verdict.measure} | ${verdict.target} | ${verdict.seen} | ${describe(verdict)} |`)].join('\n');
