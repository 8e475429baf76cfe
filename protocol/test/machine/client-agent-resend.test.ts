// Requests outlive the connection they were sent on.

import t from 'tap';
import { HELLO, open, opened, readyAgent, REGISTER, RELAY_2, TWO_RELAYS, gist } from './client-fixture.js';

t.test('requests without an answer are sent again behind the next registration, oldest first', (t) => {
  const rig = readyAgent();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.step((agent, now) => agent.openSession('dns', now));
  rig.step((agent, now) => agent.openSession('ssh', now));
  rig.receive(opened(2, { slot: 1, tag: 1 }));
  rig.lose();
  rig.timeout();
  t.strictSame(rig.establish(), [HELLO, REGISTER, open(1, 'web'), open(3, 'ssh')]);
  t.end();
});

t.test('they reach the next relay when the first one is gone', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.lose();
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 1 }]);
  t.strictSame(gist(rig.register(RELAY_2)), ['send hello', 'send register', 'send open', 'event registered']);
  t.match(rig.receive(opened(1, { slot: 8, tag: 8 })), [{ kind: 'sessionOpened', request: 1, service: 'web' }]);
  t.end();
});

t.test('a new connection does not move the deadline', (t) => {
  const rig = readyAgent({ limits: { openTimeoutMs: 6_000 } });
  const askedAt = rig.clock.now;
  rig.step((agent, now) => agent.openSession('web', now));
  rig.clock.advance(4_000);
  rig.lose();
  rig.timeout();
  rig.register();
  t.equal(rig.machine.pollTimeout(), askedAt + 6_000);
  t.match(rig.timeout(), [{ kind: 'sessionFailed', request: 1, code: 'connector_timeout' }]);
  t.end();
});

t.test('an expired request is not sent again', (t) => {
  const rig = readyAgent({ limits: { openTimeoutMs: 100 } });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.lose();
  t.match(rig.timeout(), [{ kind: 'sessionFailed', request: 1, code: 'connection_lost' }]);
  rig.timeout();
  t.strictSame(rig.establish(), [HELLO, REGISTER]);
  t.end();
});

t.test('an answer that was due on the old connection means nothing on the new one', (t) => {
  const rig = readyAgent({ limits: { openTimeoutMs: 100 } });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.timeout();
  rig.lose();
  rig.timeout();
  rig.register();
  t.match(rig.receive(opened(1, { slot: 1, tag: 1 })), [{ kind: 'event', event: { name: 'message_ignored' } }]);
  t.end();
});
