// All attacks, one after the other, in one lab; a lab that an attack has broken is replaced for the next.

import type { LabOwner } from '../harness/lab.js';
import { AbuseLab, type Intensity } from './abuse-lab.js';
import type { Attack } from './attack.js';
import { ATTACKS } from './attacks/index.js';
import { withCounters } from './report.js';
import { runAttack, type Row } from './run-attack.js';

export interface SuiteOptions {
  readonly intensity: Intensity;
  /** Parts of names; none: all attacks. */
  readonly only: readonly string[];
  /** Told of each attack as it ends, before what the relay counted is known. */
  readonly onRow: (row: Row) => void;
}

/** @returns a row for each attack, the relay's counters taken into account */
export const runSuite = async (owner: LabOwner, { intensity, only, onRow }: SuiteOptions): Promise<Row[]> => {
  const rows: Row[] = [];
  const isWanted = ({ name, isLong = false }: Attack): boolean =>
    only.length === 0 ? intensity === 'full' || !isLong : only.some((part) => name.includes(part));
  let waiting: readonly Attack[] = ATTACKS().filter(isWanted);
  while (waiting.length > 0) {
    const lab = await AbuseLab.start(owner, intensity);
    await Promise.all(waiting.map(async (attack) => attack.prepare?.(lab)));
    const inThisLab: Row[] = [];
    for (const attack of waiting) {
      const row = await runAttack(attack, lab);
      inThisLab.push(row);
      onRow(row);
      // A relay that grew has memory to spare: what the next attack takes would not show.
      if (lab.relay.hasExited || lab.innocent.fault !== undefined || row.hasGrown) break;
    }
    rows.push(...withCounters(inThisLab, await lab.stop()));
    waiting = waiting.slice(inThisLab.length);
  }
  return rows;
};
