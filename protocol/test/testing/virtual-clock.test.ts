// The virtual clock: time passes when told to, and only forward.

import t from 'tap';
import { VIRTUAL_EPOCH_MS, VirtualClock } from '@ztna/protocol/testing';

t.test('moves the monotonic and the wall clock together', (t) => {
  const clock = new VirtualClock(10);
  t.equal(clock.advance(5), 15);
  t.equal(clock.advanceTo(20), 20);
  t.equal(clock.now, 20);
  t.equal(clock.wallClock(), VIRTUAL_EPOCH_MS + 20);
  t.end();
});

t.test('refuses to go back, and to go nowhere known', (t) => {
  const clock = new VirtualClock(10);
  t.throws(() => clock.advanceTo(9), { message: /back from 10 to 9/ });
  t.throws(() => clock.advance(-1), RangeError);
  t.throws(() => clock.advance(Number.NaN), RangeError);
  t.equal(clock.now, 10);
  t.end();
});
