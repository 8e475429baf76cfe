// The table of attacks: attack → expected → seen, memory of the relay before and after, slowdown of the
// innocent transfer; and its last line.

import type { Counters } from './attack.js';
import { ATTACKS } from './attacks/index.js';
import type { Row } from './run-attack.js';

/** What the relay counted falls short of what the attacks together should have made it count: each of those rows broke. */
export const withCounters = (rows: readonly Row[], counters: Counters): Row[] => {
  const due: Record<string, number> = {};
  for (const { counted } of rows) for (const [name, count] of Object.entries(counted)) due[name] = (due[name] ?? 0) + count;
  return rows.map((row) => {
    const short = Object.keys(row.counted).filter((name) => !((counters[name] ?? 0) >= due[name]!));
    return { ...row, faults: [...row.faults, ...short.map((name) => `counted ${counters[name] ?? 0} ${name}, at least ${due[name] ?? 0} were due`)] };
  });
};

export const formatRow = ({ attack, seen, faults, counted, memory, slowdown, baseline, newcomerMs, logLines }: Row): string => {
  const counts = Object.entries(counted).map(([name, count]) => `${name} ≥ ${count}`).join(', ');
  const numbers = [
    `memory ${memory.before.toFixed(0)} → ${memory.after.toFixed(0)} MiB (peak ${memory.peak.toFixed(0)})`,
    `slowdown ${slowdown.toFixed(2)}× of ${baseline.toFixed(0)} MiB/s`,
    newcomerMs === undefined ? 'newcomer kept out' : `newcomer ${newcomerMs.toFixed(0)} ms`,
    `${logLines} log lines`,
  ];
  return [
    `${faults.length === 0 ? 'held ' : 'BROKE'} ${attack.name}`,
    `      expected  ${attack.expected}`,
    `      seen      ${seen}${counts === '' ? '' : `; counted ${counts}`}`,
    `      ${numbers.join(', ')}`,
    ...faults.map((fault) => `      FAULT     ${fault}`),
  ].join('\n');
};

/** A table in Markdown. */
export const listAttacks = (): string =>
  ['| attack | expected |', '|---|---|', ...ATTACKS().map(({ name, expected }) => `| ${name} | ${expected} |`)].join('\n');

export const summary = (rows: readonly Row[]): string => {
  const broke = rows.filter(({ faults }) => faults.length > 0).length;
  return `${rows.length} attacks, ${rows.length - broke} held, ${broke} broke`;
};
