// Whether a TCP flow ended as promised. What was neither aborted nor touched by a fault has to arrive whole, both
// ways; what was cut off has to end with an error at both ends, never like a transfer that is complete.

import type { FlowPlan } from './flow-plan.js';

export interface FlowEnd {
  /** Bytes that came, all of them as they were sent. */
  readonly received: number;
  /** `end`: a FIN, and everything sent. `aborted`: this end reset the flow, as planned. */
  readonly ending: 'end' | 'reset' | 'aborted' | 'corrupt' | 'stuck';
  /** For people. */
  readonly detail: string;
}

/** A fault that touched a flow while it was open. */
export interface Disturbance {
  readonly fault: string;
  /**
   * The end of the flow whose neighbour was killed. A killed process resets nothing: its kernel closes its sockets with a
   * FIN, and the program beside it cannot tell. Nobody could (the far end can and must).
   */
  readonly blindEnd: 'client' | 'backend' | undefined;
  /** It may have kept a flow from beginning, and nothing else. */
  readonly onlyRefuses?: boolean;
}

/** `overdue`: aborted, and the other end was never told; see docs/testing.md. */
export type Verdict = 'complete' | 'aborted' | 'refused' | 'cut' | 'overdue' | { readonly fault: string };

/** @param backend undefined when the flow never reached it */
export const judgeFlow = (plan: FlowPlan, client: FlowEnd, backend: FlowEnd | undefined, disturbances: readonly Disturbance[]): Verdict => {
  const ends = { client, backend };
  for (const side of ['client', 'backend'] as const) {
    const end = ends[side];
    if (!end) continue;
    if (end.ending === 'stuck' && ends[side === 'client' ? 'backend' : 'client']?.ending === 'aborted') return 'overdue';
    if (end.ending === 'corrupt' || end.ending === 'stuck') return { fault: `${side} ${end.ending}: ${end.detail}` };
    const expected = side === 'client' ? plan.down : plan.up;
    const isBlind = disturbances.some(({ blindEnd }) => blindEnd === side);
    if (end.ending === 'end' && end.received !== expected && !isBlind) return { fault: `${side} saw a FIN after ${end.received} of ${expected} bytes` };
  }
  if (plan.kind === 'refused') return judgeRefused(client, backend, disturbances.some(({ blindEnd }) => blindEnd === 'client'));
  const isDisturbed = disturbances.some(({ onlyRefuses }) => !onlyRefuses || (!backend && client.ending === 'reset' && client.received === 0));
  if (client.ending === 'end' && backend?.ending === 'end') return plan.kind.endsWith('Aborts') ? { fault: 'an aborted flow ended in good order' } : 'complete';
  if (plan.kind === 'clientAborts' && client.ending === 'aborted' && (!backend || backend.ending === 'reset')) return 'aborted';
  if (plan.kind === 'backendAborts' && backend?.ending === 'aborted' && client.ending === 'reset') return 'aborted';
  if (isDisturbed) return 'cut';
  return { fault: `undisturbed, and yet client: ${client.ending} (${client.detail}), backend: ${backend ? `${backend.ending} (${backend.detail})` : 'never reached'}` };
};

const judgeRefused = (client: FlowEnd, backend: FlowEnd | undefined, isBlind: boolean): Verdict => {
  if (backend) return { fault: 'a flow to nowhere reached a backend' };
  if (isBlind && client.received === 0) return 'cut';
  return client.ending === 'reset' && client.received === 0 ? 'refused' : { fault: `not refused: ${client.ending} after ${client.received} bytes` };
};
