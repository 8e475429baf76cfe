// The judge finds each kind of fault in a decoder that has it, and none in one that has none.

import t from 'tap';
import { examine } from '../engine/judge.js';
import { BROKEN, HONEST } from './toy-targets.js';

const INPUT = Uint8Array.from({ length: 32 }, (_, index) => index + 2);

for (const [kind, target] of Object.entries(BROKEN))
  t.test(`a decoder that is broken so is found out: ${kind}`, async (t) => {
    t.equal(examine(target, INPUT)?.kind, kind);
  });

t.test('an honest decoder is left alone, also with an empty input', async (t) => {
  t.equal(examine(HONEST, INPUT), undefined);
  t.equal(examine(HONEST, new Uint8Array(0)), undefined);
});

t.test('coverage counts one of the two runs', async (t) => {
  let runs = 0;
  let atFirst = 0;
  examine({ ...HONEST, run: () => runs++ * 0 }, INPUT, () => (atFirst = runs));
  t.strictSame([atFirst, runs], [1, 2]);
});
