// Medians and percentiles, and what they say of few samples.

import t from 'tap';
import { median, percentile, Rounds } from '../report/statistics.js';

t.test('the median is the middle sample, or the mean of the two in the middle, in whatever order they came', async (t) => {
  t.equal(median([30, 1, 2]), 2);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([7]), 7);
  t.ok(Number.isNaN(median([])));
});

t.test('a percentile is the smallest sample that so many do not exceed', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.equal(percentile(hundred, 50), 50);
  t.equal(percentile(hundred, 99), 99);
  t.equal(percentile(hundred, 99.9), 100);
  t.equal(percentile(hundred, 1), 1);
  t.equal(percentile([5], 99.9), 5);
  t.ok(Number.isNaN(percentile([], 50)));
});

t.test('samples are compared as numbers, and left as they were', async (t) => {
  const samples = [10, 9, 100];
  t.equal(percentile(samples, 100), 100);
  t.equal(median(samples), 10);
  t.same(samples, [10, 9, 100]);
});

t.test('rounds give the median of each figure, whatever rounds it was in', async (t) => {
  const rounds = new Rounds();
  rounds.add({ cost: 3, drops: 0 });
  rounds.add({ cost: 100, drops: 7 });
  rounds.add({ cost: 5 });
  t.same(rounds.medians(), [['cost', 5], ['drops', 3.5]]);
});
