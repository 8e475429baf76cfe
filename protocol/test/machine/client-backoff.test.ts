// Backoff: full jitter within its bounds, its reset, and the longer wait after a takeover.

import fc from 'fast-check';
import t from 'tap';
import { Backoff, MIN_BACKOFF_MS, type FailureCode } from '@ztna/protocol';
import { agentRig, connectorRig, helloAck, linkRig, registerNack } from './client-fixture.js';

const BASE_MS = 250;
const CAP_MS = 30_000;
const ALMOST_ONE = 1 - Number.EPSILON / 2;

t.test('delay n lies in [1, min(30 s, 250 ms · 2ⁿ)]', (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 40 }), (draws) => {
      const left = [...draws];
      const backoff = new Backoff({ random: () => left.shift()!, baseMs: BASE_MS, capMs: CAP_MS });
      return draws.every((_, n) => {
        const delay = backoff.next();
        return Number.isInteger(delay) && delay >= MIN_BACKOFF_MS && delay <= Math.min(CAP_MS, BASE_MS * 2 ** n);
      });
    }),
  );
  t.end();
});

t.test('the whole range is used: no delay near 0, and none above the ceiling near 1', (t) => {
  const low = new Backoff({ random: () => 0, baseMs: BASE_MS, capMs: CAP_MS });
  const high = new Backoff({ random: () => ALMOST_ONE, baseMs: BASE_MS, capMs: CAP_MS });
  t.strictSame(Array.from({ length: 9 }, () => low.next()), Array(9).fill(1));
  t.strictSame(Array.from({ length: 9 }, () => high.next()), [249, 499, 999, 1999, 3999, 7999, 15999, 29999, 29999]);
  t.end();
});

t.test('stays at the cap after thousands of failures, where 2ⁿ is no number any more', (t) => {
  const backoff = new Backoff({ random: () => 0.5, baseMs: BASE_MS, capMs: CAP_MS });
  for (let n = 0; n < 2_000; n += 1) backoff.next();
  t.equal(backoff.next(), CAP_MS / 2);
  backoff.reset();
  t.equal(backoff.failures, 0);
  t.equal(backoff.next(), BASE_MS / 2);
  t.end();
});

t.test('a link doubles its wait with every failure', (t) => {
  const rig = linkRig();
  rig.start();
  t.strictSame([1, 2, 3, 4].map(() => waitAfter(rig, () => rig.lose('relay_unreachable'))), [125, 250, 500, 1_000]);
  t.end();
});

t.test('10 s of being ready start the backoff anew, 9.999 s do not', (t) => {
  for (const [readyMs, expected] of [[10_000, 125], [9_999, 500]] as const) {
    const rig = linkRig();
    rig.start();
    waitAfter(rig, () => rig.lose());
    waitAfter(rig, () => rig.lose());
    rig.register();
    rig.clock.advance(readyMs);
    t.equal(waitAfter(rig, () => rig.lose()), expected);
  }
  t.end();
});

t.test('a long connection starts the backoff anew once, not for every failure after it', (t) => {
  const rig = linkRig();
  rig.start();
  rig.register();
  rig.clock.advance(10_000);
  t.strictSame([1, 2, 3].map(() => waitAfter(rig, () => rig.lose())), [125, 250, 500]);
  t.end();
});

t.test('waits 30 s more after its registration was replaced, so that two holders do not fight', (t) => {
  const closed = linkRig();
  closed.start();
  closed.register();
  t.equal(waitAfter(closed, () => closed.step((link, now) => link.handleDisconnected({ code: 'registration_replaced', reason: '' }, now))), 30_125);
  const nacked = linkRig();
  nacked.start();
  nacked.establish();
  t.equal(waitAfter(nacked, () => nacked.receive(helloAck(), registerNack('registration_replaced'))), 30_125);
  t.end();
});

/** Milliseconds from a failure to the dial that follows it. */
function waitAfter(rig: ReturnType<typeof linkRig>, fail: () => unknown): number {
  fail();
  const failedAt = rig.clock.now;
  const commands = rig.timeout();
  if (commands.length !== 1 || commands[0]?.kind !== 'dial') throw new Error('expected exactly a dial');
  return rig.clock.now - failedAt;
}


/** The relay has been down for so long that dials are half a minute apart. */
const longDown = <R extends { timeout(): unknown; lose(code?: FailureCode): unknown }>(rig: R): R => {
  for (let failures = 0; failures < 10; failures++) {
    rig.lose('relay_unreachable');
    rig.timeout();
  }
  rig.lose('relay_unreachable');
  return rig;
};

t.test('a program that asks has a relay dialed at once that was given up for half a minute', (t) => {
  const rig = agentRig({ random: () => 0.91, limits: { openTimeoutMs: 200 } });
  rig.start();
  longDown(rig);
  const downAt = rig.clock.now;
  t.equal(rig.machine.pollTimeout(), downAt + 27_300);
  rig.clock.advance(10_000);
  rig.step((agent, now) => agent.openSession('web', now));
  t.ok(rig.machine.pollTimeout()! <= rig.clock.now, 'due already');
  t.match(rig.step((agent, now) => agent.handleTimeout(now)), [{ kind: 'dial' }]);
  t.equal(rig.machine.state, 'dialing');
  rig.lose('relay_unreachable');
  const lostAt = rig.clock.now;
  t.match(rig.timeout(), [{ kind: 'sessionFailed' }]);
  t.equal(rig.machine.pollTimeout(), lostAt + 27_300, 'nobody waits any more');
  rig.step((agent, now) => agent.openSession('web', now));
  t.equal(rig.machine.pollTimeout(), lostAt + 301, 'and again within a second');
  t.end();
});

t.test('a relay that refuses is not asked more often because somebody waits', (t) => {
  const rig = agentRig({ random: () => 0.91, limits: { openTimeoutMs: 600_000 } });
  rig.start();
  rig.step((agent, now) => agent.openSession('web', now));
  const delays: number[] = [];
  for (let n = 0; n < 12; n++) {
    rig.establish();
    rig.receive(helloAck(), registerNack('token_unknown_key'));
    delays.push(rig.machine.pollTimeout()! - rig.clock.now);
    rig.timeout();
  }
  t.equal(delays.at(-1), 27_300);
  t.end();
});

t.test('a connector, which cannot know who waits for it, never waits for more than 10 s', (t) => {
  const rig = connectorRig({ random: () => 0.91 });
  rig.start();
  longDown(rig);
  t.equal(rig.machine.pollTimeout(), rig.clock.now + 9_100);
  t.end();
});
