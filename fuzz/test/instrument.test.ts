// Counted code does what the original does, and every branch has a counter of its own.

import t from 'tap';
import { runInThisContext } from 'node:vm';
import { CoverageMap } from '../engine/coverage-map.js';
import { instrument } from '../engine/instrument.js';

const PROGRAM = `'use strict';
(() => {
  const sign = (n) => n < 0 ? 'negative' : n === 0 ? 'zero' : 'positive';
  const object = (n) => ({ n });
  class Base { constructor(a) { this.a = a; } }
  class Derived extends Base { constructor(a) { 'use strict'; super(a ?? 1); } get twice() { return this.a * 2; } }
  function classify(n) {
    if (n > 100) return 'big'; else if (n > 10) return 'medium';
    if (n < 0)
      for (let i = 0; i > n; i--) if (i === -3) break; else continue;
    let s = 0; do s++; while (s < 3);
    for (const x of [1, 2]) s += x;
    switch (n) { case 1: case 2: s = 'few'; break; default: s = 'many' }
    try { if (n === 7) throw new Error('seven'); } catch { return 'caught'; }
    return s && sign(n) || 'none';
  }
  return (n) => JSON.stringify([classify(n), sign(n), object(n), new Derived(n).twice, new Derived().a]);
})()`;

type Program = (n: number) => string;
const INPUTS = [-5, 0, 1, 2, 7, 50, 500];

t.test('counted code gives the same results', async (t) => {
  const original = runInThisContext(PROGRAM) as Program;
  const { code, counters } = instrument(PROGRAM, 0);
  t.ok(counters > 20, `${counters} counters`);
  t.equal(code.split('\n').length, PROGRAM.split('\n').length, 'no line moves');
  const counted = runInThisContext(`(() => {${code.replace("'use strict';", '').replace('(() => {', 'return (() => {')}})()`) as Program;
  for (const n of INPUTS) t.equal(counted(n), original(n), `${n}`);
});

t.test('another way through the code is new coverage, the same way is not', async (t) => {
  const { code } = instrument(PROGRAM, 0);
  const counted = runInThisContext(`(() => {${code.replace("'use strict';", '').replace('(() => {', 'return (() => {')}})()`) as Program;
  const coverage = new CoverageMap();
  const isNew = (n: number): boolean => {
    CoverageMap.reset();
    counted(n);
    return coverage.takeNew().length > 0;
  };
  t.strictSame(INPUTS.map(isNew), [true, true, true, false, true, true, true], '2 goes the way of 1');
  t.strictSame(INPUTS.map(isNew), INPUTS.map(() => false));
  t.ok(coverage.edges > 15);
});
