// Where a relay's time goes, from a CPU profile of V8 (`--cpu-prof`): the kernel's share, QUIC's, the collector's, ours.
// Native code counts for the function of ours that calls it.

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
}

export interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  /** µs of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  /** µs from each sample to the one before. */
  readonly timeDeltas: readonly number[];
}

const IDLE = '(idle)';

/** The first that matches says what a function is part of. */
const PARTS: readonly { readonly part: string; readonly matches: (frame: CallFrame) => boolean }[] = [
  { part: 'kernel: sending', matches: ({ functionName, url }) => url.endsWith('/linux-calls.js') && functionName.startsWith('sendm') },
  { part: 'kernel: receiving', matches: ({ functionName, url }) => url.endsWith('/linux-calls.js') && functionName.startsWith('recvm') },
  { part: 'QUIC: packets to send', matches: ({ functionName, url }) => url.endsWith('/quiche-adapter.js') && functionName === 'send' },
  { part: 'QUIC: packets received', matches: ({ functionName, url }) => url.endsWith('/quiche-adapter.js') && functionName === 'receive' },
  { part: 'QUIC: datagram queues, timers, the rest', matches: ({ url }) => url.endsWith('/quiche-adapter.js') },
  { part: 'garbage collection', matches: ({ functionName }) => functionName === '(garbage collector)' },
  { part: 'ours: limits and queues', matches: ({ url }) => url.includes('/protocol/dist/limits/') || url.includes('/protocol/dist/carrier/') },
  { part: 'ours: machine and header', matches: ({ url }) => url.includes('/protocol/dist/machine/') || url.includes('/protocol/dist/wire/') },
  { part: 'ours: sockets, endpoint and relay', matches: ({ url }) => url.includes('/protocol/dist/') || url.includes('/intermediate-server/dist/') },
];
const REST = 'Node itself';

/**
 * Shares of busy time by part, largest first; they add up to 1.
 *
 * @param window from and to, µs of the monotonic clock; samples outside are left out
 */
export const profileShares = ({ nodes, startTime, samples, timeDeltas }: CpuProfile, window: readonly [number, number] = [-Infinity, Infinity]): (readonly [part: string, share: number])[] => {
  const partOf = new Map(nodes.map(({ id, callFrame }) => [id, callFrame.functionName === IDLE ? IDLE : (PARTS.find(({ matches }) => matches(callFrame))?.part ?? REST)]));
  const times = new Map<string, number>();
  let total = 0;
  let at = startTime;
  samples.forEach((id, index) => {
    const delta = timeDeltas[index]!;
    at += delta;
    const part = partOf.get(id)!;
    if (part === IDLE || delta <= 0 || at < window[0] || at > window[1]) return;
    times.set(part, (times.get(part) ?? 0) + delta);
    total += delta;
  });
  return [...times].map(([part, time]) => [part, time / total] as const).sort(([, a], [, b]) => b - a);
};
