// Requests end by their deadline, with the code that explains why nobody answered.

import t from 'tap';
import type { FailureCode } from '@ztna/protocol';
import { agentRig, helloAck, opened, readyAgent, registerNack } from './client-fixture.js';

const SESSION = { slot: 3, tag: 9 };

t.test('an unreachable relay fails the request after 15 s as relay_unreachable', (t) => {
  const rig = agentRig();
  rig.start();
  const askedAt = rig.clock.now;
  rig.step((agent, now) => agent.openSession('web', now));
  const failed = untilFailed(rig);
  t.equal(rig.clock.now, askedAt + 15_000);
  t.strictSame(failed, {
    kind: 'sessionFailed', request: 1, service: 'web', code: 'relay_unreachable', reason: 'no answer from relay relay-1 within 5000 ms',
  });
  t.end();
});

t.test('a refused registration fails the request after 15 s with the code of the refusal', (t) => {
  const rig = agentRig();
  rig.start();
  const askedAt = rig.clock.now;
  rig.step((agent, now) => agent.openSession('web', now));
  const failed = untilFailed(rig, () => {
    rig.establish();
    rig.receive(helloAck(), registerNack('token_expired', 'clock'));
  });
  t.equal(rig.clock.now, askedAt + 15_000);
  t.match(failed, { code: 'token_expired', reason: 'clock' });
  t.end();
});

t.test('a relay that is registered with but silent fails it as connector_timeout', (t) => {
  const rig = readyAgent({ limits: { openTimeoutMs: 3_000 } });
  rig.step((agent, now) => agent.openSession('web', now));
  t.equal(rig.machine.pollTimeout(), rig.clock.now + 3_000);
  t.strictSame(rig.timeout(), [
    { kind: 'sessionFailed', request: 1, service: 'web', code: 'connector_timeout', reason: 'no answer within 3000 ms' },
  ]);
  t.end();
});

t.test('with no failure to name yet, the code is relay_unreachable', (t) => {
  const rig = agentRig({ limits: { openTimeoutMs: 1_000 } });
  rig.start();
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.timeout(), [{ kind: 'sessionFailed', code: 'relay_unreachable', reason: 'not connected within 1000 ms' }]);
  t.end();
});

t.test('an agent that was never started fails its requests in time as well', (t) => {
  const rig = agentRig();
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.timeout(), [{ kind: 'sessionFailed', code: 'relay_unreachable' }]);
  t.equal(rig.machine.pollTimeout(), undefined);
  t.end();
});

t.test('requests fail one by one, each at its own deadline', (t) => {
  const rig = agentRig();
  const askedAt = rig.clock.now;
  rig.step((agent, now) => agent.openSession('web', now));
  rig.clock.advance(10);
  rig.step((agent, now) => agent.openSession('dns', now));
  t.match(rig.timeout(), [{ request: 1 }]);
  t.equal(rig.machine.pollTimeout(), askedAt + 15_010);
  t.match(rig.timeout(), [{ request: 2 }]);
  t.end();
});

t.test('a session that is opened after the deadline is given back to the relay, once', (t) => {
  const rig = expired();
  t.strictSame(rig.receive(opened(1, SESSION)), [{ kind: 'send', link: 0, message: { type: 'closeSession', session: SESSION } }]);
  t.equal(rig.machine.sessionCount, 0);
  t.match(rig.receive(opened(1, SESSION)), [{ kind: 'event', event: { name: 'message_ignored', about: 'opened' } }]);
  t.end();
});

t.test('a refusal after the deadline is nothing to report', (t) => {
  const rig = expired();
  t.strictSame(rig.receive({ type: 'openFailed', request: 1, code: 'connector_timeout', reason: '' }), []);
  t.end();
});

t.test('a late opened that names a live session does not end that one', (t) => {
  const rig = expired();
  rig.step((agent, now) => agent.openSession('dns', now));
  rig.receive(opened(2, SESSION));
  t.match(rig.receive(opened(1, SESSION)), [{ kind: 'event', event: { level: 'warn', name: 'message_ignored' } }]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('an expired request makes room at the relay for the next one', (t) => {
  const rig = readyAgent({ limits: { maxOpensInFlight: 1, openTimeoutMs: 3_000 } });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.clock.advance(1);
  t.strictSame(rig.step((agent, now) => agent.openSession('dns', now)), []);
  t.match(rig.timeout(), [{ kind: 'sessionFailed', request: 1 }, { kind: 'send', link: 0, message: { type: 'open', request: 2 } }]);
  t.end();
});

/** A registered agent whose request 1 was sent and has expired. */
function expired() {
  const rig = readyAgent({ limits: { openTimeoutMs: 3_000 } });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.timeout();
  return rig;
}

/** Handles deadlines, and each dial with `onDial`, until a request fails. */
function untilFailed(rig: ReturnType<typeof agentRig>, onDial: () => void = () => undefined): { code: FailureCode } {
  onDial();
  for (let n = 0; n < 100; n += 1) {
    for (const command of rig.timeout()) {
      if (command.kind === 'sessionFailed') return command;
      if (command.kind === 'dial') onDial();
    }
  }
  throw new Error('no request failed');
}
