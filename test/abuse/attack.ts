// What an attack is, and what is said of it afterwards. Owns the words; running one is run-attack.ts, the
// attacks themselves are under attacks/.

import type { AbuseLab } from './abuse-lab.js';

/** `packet.<reason>` of the endpoint and `datagram.<reason>` of the switch, as the relay logs them when it stops. */
export type Counters = Readonly<Record<string, number>>;

/** What came of an attack, from answers, close codes, log events and counters; never from what was sent. */
export interface Seen {
  /** One line for the table. */
  readonly seen: string;
  /** Where that is not what was expected. Empty: the relay held. */
  readonly faults: readonly string[];
  /** What the relay must have counted, at the least, for this attack; checked when it stops. */
  readonly counted?: Counters;
}

export interface Attack {
  readonly name: string;
  /** What a relay that holds does. */
  readonly expected: string;
  /** Largest growth of the relay's resident memory while it lasts, MiB. Default 64: some bursts of garbage between two collections. */
  readonly growthMiB?: number;
  /** Takes a minute; left out of short runs. */
  readonly isLong?: boolean;
  /** Starts what needs time (a timeout to pass, a token to expire); called when the lab has started. */
  prepare?(lab: AbuseLab): Promise<void>;
  run(lab: AbuseLab): Promise<Seen>;
}

/** Handshakes that one source address may begin in that time (docs/limits.md: 20 a second, 40 in a burst). */
export const handshakesAllowed = (seconds: number): number => Math.ceil(40 + 20 * seconds) + 1;

/** Collects what was not as expected. */
export class Findings {
  readonly faults: string[] = [];

  check(holds: boolean, fault: string): this {
    if (!holds) this.faults.push(fault);
    return this;
  }

  equal(actual: unknown, expected: unknown, what: string): this {
    return this.check(actual === expected, `${what}: ${String(actual)}, not ${String(expected)}`);
  }

  seen(seen: string, counted?: Counters): Seen {
    return { seen, faults: this.faults, ...(counted && { counted }) };
  }
}

/** `3 × a, 1 × b`, most frequent first. */
export const tally = (values: Iterable<string | undefined>): string => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value ?? 'nothing', (counts.get(value ?? 'nothing') ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a).map(([value, count]) => `${count} × ${value}`).join(', ') || 'nothing';
};
