// The clock of revocations: one observation per change of the deny list, at the last end.

import t from 'tap';
import { LatencyHistogram } from '@ztna/protocol';
import { RevocationTimer } from '@ztna/intermediate-server';

void t.test('observes once, when the last of the revoked is gone', async (t) => {
  const histogram = new LatencyHistogram([1]);
  const timer = new RevocationTimer(histogram);
  timer.begin(Date.now() - 500);
  timer.awaitEnd(3);
  timer.awaitEnd(7);
  timer.noticeEnd(3);
  timer.noticeEnd(5);
  t.equal(histogram.count, 0);
  timer.noticeEnd(7);
  t.equal(histogram.count, 1);
  t.ok(histogram.sum >= 0.5 && histogram.sum < 5);
});

void t.test('a change that revokes nobody, and ends of others, are no revocation', async (t) => {
  const histogram = new LatencyHistogram([1]);
  const timer = new RevocationTimer(histogram);
  timer.begin(0);
  timer.noticeEnd(1);
  t.equal(histogram.count, 0);
});

void t.test('a second change while the first is under way does not set the clock back', async (t) => {
  const histogram = new LatencyHistogram([1]);
  const timer = new RevocationTimer(histogram);
  timer.begin(Date.now() - 900);
  timer.awaitEnd(1);
  timer.begin(Date.now());
  timer.awaitEnd(2);
  timer.noticeEnd(1);
  timer.noticeEnd(2);
  t.equal(histogram.count, 1);
  t.ok(histogram.sum >= 0.9);
});
