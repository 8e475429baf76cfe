// How many flows an agent may have open at a connector and begin in a second, and that no agent pays for another.

import t from 'tap';
import { FLOW_RATE, FlowQuota, MAX_FLOWS_PER_AGENT } from '@ztna/app-connector';

/** Takes until it is refused, at one time; returns how many that was. */
const takeAll = (quota: FlowQuota, agent: string, now: number): number => {
  let taken = 0;
  while (quota.take(agent, now)) taken++;
  return taken;
};

t.test('an agent has so many flows open, and one more for each that ends', async (t) => {
  const quota = new FlowQuota();
  t.equal(takeAll(quota, 'alice', 0), MAX_FLOWS_PER_AGENT);
  t.equal(quota.take('alice', 60_000), false, 'however long it waits');
  t.equal(takeAll(quota, 'bob', 0), MAX_FLOWS_PER_AGENT, 'another agent has its own');
  quota.release('alice');
  t.equal(takeAll(quota, 'alice', 60_000), 1);
  t.equal(quota.total, 2 * MAX_FLOWS_PER_AGENT);
});

t.test('an agent that opens and ends flows in a loop begins 200 a second after its burst', async (t) => {
  const quota = new FlowQuota();
  let begun = 0;
  for (let ms = 0; ms < 10_000; ms++) {
    for (let n = 0; n < 10; n++) {
      if (!quota.take('alice', ms)) break;
      begun++;
      quota.release('alice');
    }
  }
  t.equal(begun, FLOW_RATE.burst + (FLOW_RATE.perSecond * 9_999) / 1000 - ((FLOW_RATE.perSecond * 9_999) / 1000) % 1);
  t.equal(quota.take('bob', 10_000), true);
});

t.test('going away refills nothing', async (t) => {
  const quota = new FlowQuota(10, { perSecond: 1, burst: 10 });
  t.equal(takeAll(quota, 'alice', 0), 10);
  for (let n = 0; n < 10; n++) quota.release('alice');
  t.equal(quota.total, 0);
  // Others come and go: accounts are looked at meanwhile.
  for (let ms = 0; ms < 5_000; ms += 100) if (quota.take('bob', ms)) quota.release('bob');
  t.equal(takeAll(quota, 'alice', 5_000), 5);
});
