// The measure itself: the same watch over a relay that nobody attacks.

import { Findings, type Attack } from '../attack.js';

export const nothing: Attack = {
  name: 'nothing at all, to see what the measure itself shows',
  expected: 'slowdown about 1×, no growth to speak of',
  growthMiB: 24,
  async run(lab) {
    for await (const _ of lab.rounds(50)) void _;
    return new Findings().seen('nothing');
  },
};
