// How often something ended in which way: one number per failure code, and one for `ok`. Counting adds in
// place and allocates nothing.

import type { FailureCode } from '../failure-codes.js';
import { FAILURES, OUTCOMES, type NumberFamily, type Outcome } from './metric-family.js';

const INDEX = new Map<Outcome, number>(OUTCOMES.values.map((outcome, index) => [outcome, index]));

/** Totals since the start. Exact to 2^53. */
export class OutcomeCounter {
  readonly #totals = new Float64Array(OUTCOMES.values.length);

  /** @param code undefined for a good end */
  count(code?: FailureCode): void {
    this.#totals[INDEX.get(code ?? 'ok')!]! += 1;
  }

  of(outcome: Outcome): number {
    return this.#totals[INDEX.get(outcome)!]!;
  }

}

/** A counter family with the label `code`. Codes that never came have no line: there are some eighty. */
export const outcomeFamily = (name: string, help: string, counter: OutcomeCounter): NumberFamily => ({
  type: 'counter',
  name,
  help,
  labels: { code: OUTCOMES },
  read: (emit) => {
    // Even at zero, so that its rate starts where the process does.
    emit(counter.of('ok'), { code: 'ok' });
    emitFailures(counter, emit);
  },
});

/** The same for what has no good end. */
export const failureFamily = (name: string, help: string, counter: OutcomeCounter): NumberFamily => ({
  type: 'counter',
  name,
  help,
  labels: { code: FAILURES },
  read: (emit) => emitFailures(counter, emit),
});

const emitFailures = (counter: OutcomeCounter, emit: Parameters<NumberFamily['read']>[0]): void => {
  for (const code of FAILURES.values) {
    const total = counter.of(code);
    if (total > 0) emit(total, { code });
  }
};
