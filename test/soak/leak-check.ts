// What the overlay's processes may still hold once the users are gone: nothing that was not there before they came. Polls
// until it is so, or says what is left.

import type { ManagedProcess } from '../harness/managed-process.js';
import { readStatus, type ProcessStatus } from './process-status.js';

/**
 * A killed client's sessions end when the relay has not heard of it for 30 s, and the relay's clients notice a killed relay
 * after 15 s; the agents' UDP flows end after 65 s, sessions without flows 60 s later, or three times QUIC's probe timeout, which packet loss
 * and queues may have left at more than a minute (RFC 9000 §10.1).
 */
export const SETTLE_MS = 75_000;
export const IDLE_OUT_MS = 600_000;
const POLL_MS = 500;
/** A timer that is armed only while something is due may be armed now and not then: one of the machine's and one of each endpoint. */
const TIMER_SLACK = 3;

export interface Expectation {
  readonly name: string;
  readonly process: ManagedProcess;
  readonly before: ProcessStatus;
  /** Upper bounds of the process's own gauges. */
  readonly counts: Readonly<Record<string, number>>;
}

/** @returns what is still too much at the end, one line each; empty when everything is back */
export const whenSettled = async (expectations: readonly Expectation[], withinMs: number): Promise<string[]> => {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const left = (await Promise.all(expectations.map(excessOf))).flat();
    if (left.length === 0 || performance.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

const excessOf = async ({ name, process, before, counts }: Expectation): Promise<string[]> => {
  if (process.hasExited) return [`${name}: is gone`];
  const now = await readStatus(process);
  const left: string[] = [];
  const compare = (what: string, value: number, bound: number): void => {
    if (!(value <= bound)) left.push(`${name}: ${value} ${what}, at most ${bound} expected`);
  };
  for (const [what, bound] of Object.entries(counts)) compare(what, now.counts[what] ?? NaN, bound);
  compare('sockets', now.sockets, before.sockets);
  for (const [kind, value] of Object.entries(now.resources)) {
    const bound = before.resources[kind] ?? 0;
    compare(kind, value, kind === 'Timeout' ? bound + TIMER_SLACK : bound);
  }
  return left;
};
