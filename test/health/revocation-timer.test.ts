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

void t.test('a wall clock that is set meanwhile changes nothing, and one that is behind the file makes no time negative', async (t) => {
  for (const [changedAt, jump, expected] of [[9_500, 3_600_000, 0.75], [9_500, -3_600_000, 0.75], [12_000, 0, 0.25]] as const) {
    const histogram = new LatencyHistogram([1]);
    const now = { monotonic: 77_000, wall: 10_000 };
    const timer = new RevocationTimer(histogram, { monotonic: () => now.monotonic, wall: () => now.wall });
    timer.begin(changedAt);
    timer.awaitEnd(1);
    now.wall += jump;
    now.monotonic += 250;
    timer.noticeEnd(1);
    t.equal(histogram.sum, expected);
  }
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
