// Which faults come when: a function of the seed and the length of the run alone. Carrying them out, and knowing whom
// they touch, is faults.ts's.

import { seededRandom } from '@ztna/protocol/testing';

/** Names of processes, of the overlay in soak-overlay.ts. */
export type Fault =
  | { readonly kind: 'kill' | 'terminate'; readonly target: string }
  | { readonly kind: 'rebind'; readonly target: string }
  /** SIGHUP at the relay, with a new certificate and key. */
  | { readonly kind: 'reload' }
  /** The policy takes a right away from an agent, and gives it back. */
  | { readonly kind: 'withdraw'; readonly target: string; readonly service: string };

export interface PlannedFault {
  /** From the start of the churn. A fault waits for the one before it to be over. */
  readonly atMs: number;
  readonly fault: Fault;
}

export interface FaultTargets {
  readonly relay: string;
  /** Processes that may be killed; the others live through the whole run, so that their memory can be followed. */
  readonly mortalAgents: readonly string[];
  readonly mortalConnectors: readonly string[];
  /** Clients whose NAT may forget them. */
  readonly clients: readonly string[];
  readonly services: readonly string[];
}

const MEAN_GAP_MS = 2_500;
/** After it the overlay is left in peace, so that what the last faults left behind can end. */
const QUIET_FROM = 0.85;
/** The relay dies in the first third only: its memory is followed over the rest. */
const RELAY_FAULTS_AT = [0.08, 0.2] as const;

export const planFaults = (seed: number, durationMs: number, targets: FaultTargets): PlannedFault[] => {
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const [drainFirst] = [random() < 0.5];
  const planned: PlannedFault[] = RELAY_FAULTS_AT.map((share, index) => ({
    atMs: share * durationMs,
    fault: { kind: drainFirst === (index === 0) ? 'terminate' : 'kill', target: targets.relay },
  }));
  for (let atMs = gap(random); atMs < durationMs * QUIET_FROM; atMs += gap(random)) {
    planned.push({ atMs, fault: pickFault(random, pick, targets) });
  }
  return planned.sort((a, b) => a.atMs - b.atMs);
};

const gap = (random: () => number): number => MEAN_GAP_MS * (0.4 + 1.2 * random());

const pickFault = (random: () => number, pick: <T>(items: readonly T[]) => T, targets: FaultTargets): Fault => {
  const share = random() * 100;
  if (share < 40) return { kind: 'rebind', target: pick(targets.clients) };
  if (share < 56) return { kind: 'kill', target: pick(targets.mortalAgents) };
  if (share < 66) return { kind: 'terminate', target: pick(targets.mortalAgents) };
  if (share < 76) return { kind: 'kill', target: pick(targets.mortalConnectors) };
  if (share < 84) return { kind: 'terminate', target: pick(targets.mortalConnectors) };
  if (share < 92) return { kind: 'reload' };
  return { kind: 'withdraw', target: pick(targets.mortalAgents), service: pick(targets.services) };
};
