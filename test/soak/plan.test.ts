// The soak's plans: the same for the same seed, and with everything in them that a run is to show.

import t from 'tap';
import { planFaults, type FaultTargets } from './fault-plan.js';
import { derivedSeed, FLOW_KINDS, flowPlans, type FlowPlan } from './flow-plan.js';

const take = (seed: number, count: number): FlowPlan[] => {
  const plans = flowPlans(seed, 10_000);
  return Array.from({ length: count }, () => plans.next().value);
};
const targets: FaultTargets = { relay: 'relay-1', mortalAgents: ['bob'], mortalConnectors: ['con'], clients: ['bob', 'con'], services: ['files'] };

t.test('the same seed plans the same flows, another seed others', async (t) => {
  t.strictSame(take(1, 200), take(1, 200));
  t.strictNotSame(take(1, 200), take(2, 200));
});

t.test('flows are of every kind, from nothing to 8 MiB, and aborts come in mid-transfer', async (t) => {
  const plans = take(7, 5_000);
  t.strictSame(new Set(plans.map(({ kind }) => kind)), new Set(FLOW_KINDS));
  t.equal(Math.min(...plans.map(({ up }) => up)), 0);
  t.ok(Math.max(...plans.map(({ down }) => down)) > 4 * 2 ** 20);
  t.ok(plans.every(({ up, down }) => up <= 8 * 2 ** 20 && down <= 8 * 2 ** 20));
  for (const { kind, up, down, abortAfter } of plans) {
    if (kind === 'clientAborts' && abortAfter >= up) t.fail(`abort after ${abortAfter} of ${up}`);
    if (kind === 'backendAborts' && abortAfter >= down) t.fail(`abort after ${abortAfter} of ${down}`);
  }
});

t.test('a minute kills the relay once and stops it once, in the first third, and ends in peace', async (t) => {
  for (const seed of [1, 2, 3]) {
    const plan = planFaults(seed, 60_000, targets);
    t.strictSame(plan, planFaults(seed, 60_000, targets));
    const atRelay = plan.filter(({ fault }) => 'target' in fault && fault.target === 'relay-1');
    t.strictSame(atRelay.map(({ fault }) => fault.kind).sort(), ['kill', 'terminate']);
    t.ok(atRelay.every(({ atMs }) => atMs < 20_000));
    t.ok(plan.every(({ atMs }, index) => atMs <= 51_000 && (index === 0 || atMs >= plan[index - 1]!.atMs)));
  }
  t.strictSame(new Set(planFaults(4, 600_000, targets).map(({ fault }) => fault.kind)), new Set(['kill', 'terminate', 'rebind', 'reload', 'withdraw']));
});

t.test('users of other names follow other plans', async (t) => {
  const seeds = ['ann files-a 0', 'ann files-a 1', 'bob files-a 0'].map((name) => derivedSeed(1, name));
  t.equal(new Set(seeds).size, 3);
});
