// The options of `npm run bench`, with their defaults and bounds.

import { parseArgs } from 'node:util';
import { BENCHES, USUAL_BENCHES, type BenchName } from './report/result.js';

export const USAGE = `npm run bench [-- options]: what a relayed byte costs, beside the programs one could use instead

  --only NAMES      some of ${BENCHES.join(', ')}; separated by commas (default: all but endurance)
  --all             all but endurance; the default, for scripts that like to say so
  --seconds N       measured time of each subject and setting, all rounds together (default 9; at least 0.2)
  --rate N          datagrams per second offered by relay, and half of it by growth (default 20000)
  --minutes N       of endurance (default 10; at least 0.5)
  --connections L   numbers of connections for growth, separated by commas (default 10,100,1000,10000)
  --json FILE       writes the figures
  --svg FILE        writes the chart
  --update-docs     writes tables, verdicts and the chart into docs/performance.md
  --from FILE       figures of benchmarks not named by --only, from a file that --json wrote; alone it measures nothing
  --loopback        no network namespaces, even as root
  --cpu-prof DIR    keeps the CPU profile of the relay that the benchmark relay takes
  --help            this text

As root on Linux the programs run in three network namespaces (agent, relay, connector), otherwise on loopback; the
first line says which. nebula, coturn, iperf3 and openssh-server (Debian packages) are measured where installed.`;

export interface BenchOptions {
  readonly only: readonly BenchName[];
  readonly seconds: number;
  readonly rate: number;
  readonly minutes: number;
  readonly connections: readonly number[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly updateDocs: boolean;
  readonly from: string | undefined;
  readonly loopback: boolean;
  readonly cpuProf: string | undefined;
}

export type ParsedOptions = { readonly ok: true; readonly options: BenchOptions } | { readonly ok: false; readonly reason: string } | { readonly ok: 'help' };

/** Ports of one address, with room for everybody else. */
const MAX_CONNECTIONS = 50_000;

const isBench = (name: string): name is BenchName => (BENCHES as readonly string[]).includes(name);

export const parseBenchOptions = (args: readonly string[]): ParsedOptions => {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        all: { type: 'boolean', default: false },
        seconds: { type: 'string', default: '9' },
        rate: { type: 'string', default: '20000' },
        minutes: { type: 'string', default: '10' },
        connections: { type: 'string', default: '10,100,1000,10000' },
        json: { type: 'string' },
        svg: { type: 'string' },
        'update-docs': { type: 'boolean', default: false },
        from: { type: 'string' },
        loopback: { type: 'boolean', default: false },
        'cpu-prof': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
  if (values.help) return { ok: 'help' };
  const faults: string[] = [];
  const number = (name: string, text: string, min: number, max: number): number => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!(value >= min && value <= max)) faults.push(`--${name} is ${JSON.stringify(text)}; it must be a number from ${min} to ${max}`);
    return value;
  };
  const names = (values.only ?? []).flatMap((list) => list.split(','));
  for (const name of names) if (!isBench(name)) faults.push(`--only ${JSON.stringify(name)} is none of ${BENCHES.join(', ')}`);
  if (values.all && names.length > 0) faults.push('--all and --only exclude each other');
  const options: BenchOptions = {
    only: names.length > 0 ? BENCHES.filter((name) => names.includes(name)) : values.from === undefined || values.all ? USUAL_BENCHES : [],
    seconds: number('seconds', values.seconds, 0.2, 3600),
    // Beyond it the relay's own limit for one connection would be measured.
    rate: number('rate', values.rate, 100, 200_000),
    minutes: number('minutes', values.minutes, 0.5, 1440),
    connections: values.connections.split(',').map((text) => number('connections', text, 1, MAX_CONNECTIONS)),
    json: values.json,
    svg: values.svg,
    updateDocs: values['update-docs'],
    from: values.from,
    loopback: values.loopback,
    cpuProf: values['cpu-prof'],
  };
  return faults.length > 0 ? { ok: false, reason: faults.join('\n') } : { ok: true, options };
};
