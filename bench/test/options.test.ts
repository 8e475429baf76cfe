// The command line: what is asked for, and every fault at once.

import t from 'tap';
import { parseBenchOptions } from '../options.js';
import { USUAL_BENCHES } from '../report/result.js';

const parse = (line: string) => parseBenchOptions(line === '' ? [] : line.split(' '));

t.test('all benchmarks but the longest are run unless some are named, in their own order', async (t) => {
  t.match(parse(''), { ok: true, options: { only: USUAL_BENCHES } });
  t.match(parse('--all --update-docs'), { ok: true, options: { only: USUAL_BENCHES, updateDocs: true } });
  t.match(parse('--only tcp,relay --only loss'), { ok: true, options: { only: ['relay', 'tcp', 'loss'] } });
  t.match(parse('--only endurance,relay'), { ok: true, options: { only: ['relay', 'endurance'] } });
  t.match(parse('--from old.json'), { ok: true, options: { only: [], from: 'old.json' } });
  t.match(parse('--from old.json --only tcp'), { ok: true, options: { only: ['tcp'] } });
});

t.test('numbers are taken as they are written', async (t) => {
  t.match(parse('--seconds 0.5 --rate 1000 --connections 10,20'), { ok: true, options: { seconds: 0.5, rate: 1000, connections: [10, 20] } });
});

t.test('every fault is reported at once', async (t) => {
  const parsed = parse('--only nothing --seconds x --rate 1e9 --connections 10,0');
  t.equal(parsed.ok, false);
  for (const part of ['"nothing" is none of', '--seconds is "x"', '--rate is "1e9"', '--connections is "0"']) t.match(parsed, { reason: new RegExp(part) });
  t.match(parse('--all --only tcp'), { ok: false, reason: /exclude each other/ });
  t.match(parse('--nonsense'), { ok: false, reason: /nonsense/ });
  t.match(parse('--help'), { ok: 'help' });
});
