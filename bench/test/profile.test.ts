// Shares of a CPU profile: by whose function it was, busy time alone, inside a window.

import t from 'tap';
import { profileShares, type CpuProfile } from '../report/profile.js';

const frames: readonly (readonly [name: string, url: string])[] = [
  ['(idle)', ''],
  ['sendmsg', 'file:///x/protocol/dist/udp/linux-calls.js'],
  ['recvmmsg', 'file:///x/protocol/dist/udp/linux-calls.js'],
  ['send', 'file:///x/protocol/dist/quic/quiche-adapter.js'],
  ['(garbage collector)', ''],
  ['route', 'file:///x/protocol/dist/machine/relay/datagram-switch.js'],
  ['onDatagram', 'file:///x/intermediate-server/dist/relay-client.js'],
  ['FastBuffer', 'node:internal/buffer'],
];

/** Samples of 10 µs each, by the index of their function. */
const profile = (...samples: number[]): CpuProfile => ({
  nodes: frames.map(([functionName, url], id) => ({ id, callFrame: { functionName, url } })),
  startTime: 1000,
  samples,
  timeDeltas: samples.map(() => 10),
});

t.test('each function counts for its part, idle time for none', async (t) => {
  t.same(profileShares(profile(1, 1, 1, 1, 0, 0, 2, 3, 4, 5, 6, 7)).map(([part, share]) => [part, Math.round(share * 10)]), [
    ['kernel: sending', 4],
    ['kernel: receiving', 1],
    ['QUIC: packets to send', 1],
    ['garbage collection', 1],
    ['ours: machine and header', 1],
    ['ours: sockets, endpoint and relay', 1],
    ['Node itself', 1],
  ]);
});

t.test('samples outside the window do not count', async (t) => {
  t.same(profileShares(profile(1, 3, 3, 1), [1015, 1030]), [['QUIC: packets to send', 1]]);
  t.same(profileShares(profile(0, 0)), []);
});
