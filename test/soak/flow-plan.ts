// What each user of the soak does, flow after flow: a function of the seed alone. Owns kinds, sizes and
// pauses; carrying them out is flow-client.ts's and flow-backend.ts's.

import { seededRandom } from '@ztna/protocol/testing';

/**
 * exchange: bytes both ways at once, each side's FIN after its last byte, so half-closed for as long as the other
 *   goes on. answer: the backend sends once it has read the client's FIN. pausing: a silence in the middle of the
 *   upload. stalling: the client stops reading for a while. clientAborts, backendAborts: a reset in mid-transfer.
 *   refused: a service whose backend nobody listens at.
 */
export const FLOW_KINDS = ['exchange', 'answer', 'pausing', 'stalling', 'clientAborts', 'backendAborts', 'refused'] as const;
export type FlowKind = (typeof FLOW_KINDS)[number];

export interface FlowPlan {
  readonly kind: FlowKind;
  /** Bytes after the header, client to backend and back. Never 0 in the direction of an abort. */
  readonly up: number;
  readonly down: number;
  /** Where the reset comes, in bytes sent by the side that resets: below `up` or `down`. */
  readonly abortAfter: number;
  readonly pauseMs: number;
  /** Before the flow, ms. */
  readonly thinkMs: number;
}

/** Cumulative, in percent. Bulk is rare, so that a minute has many ends; it still makes up most of the bytes. */
const KIND_SHARES: readonly (readonly [number, FlowKind])[] = [
  [55, 'exchange'],
  [70, 'answer'],
  [78, 'pausing'],
  [85, 'stalling'],
  [91, 'clientAborts'],
  [97, 'backendAborts'],
  [100, 'refused'],
];
const SIZE_SHARES: readonly (readonly [number, number, number])[] = [
  [30, 1, 64],
  [62, 64, 16 * 1024],
  [90, 16 * 1024, 512 * 1024],
  [98, 512 * 1024, 2 * 1024 * 1024],
  [100, 2 * 1024 * 1024, 8 * 1024 * 1024],
];
const MAX_THINK_MS = 400;

/** An endless series; `maxPauseMs` bounds the silences, most of which are far shorter. */
export function* flowPlans(seed: number, maxPauseMs: number): Generator<FlowPlan, never, undefined> {
  const random = seededRandom(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  const size = (): number => {
    const share = random() * 100;
    const [, from, to] = SIZE_SHARES.find(([upTo]) => share < upTo)!;
    return from + below(to - from + 1);
  };
  for (;;) {
    // Every draw for every flow, so that one kind's needs do not shift what comes after it.
    const share = random() * 100;
    const [first, second, at, pause, think, mute] = [size(), size(), random(), Math.floor(random() ** 3 * maxPauseMs), below(MAX_THINK_MS), random()];
    const kind = KIND_SHARES.find(([upTo]) => share < upTo)![1];
    // One flow in five has nothing to say in one direction: its FIN comes first of all.
    const up = mute < 0.1 && kind !== 'clientAborts' ? 0 : first;
    const down = mute > 0.9 && kind !== 'backendAborts' ? 0 : second;
    const cut = kind === 'clientAborts' ? up : down;
    yield { kind, up, down, abortAfter: Math.floor(at * cut), pauseMs: pause, thinkMs: think };
  }
}

/** Another seed for each user, link and direction: FNV-1a over the name, mixed with the run's seed. */
export const derivedSeed = (seed: number, name: string): number => {
  let hash = (seed ^ 0x811c9dc5) >>> 0;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
};
