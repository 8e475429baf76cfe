// failFast: a one-shot program learns of a refusal at once, and still waits for a relay to come up.

import t from 'tap';
import type { FailureCode } from '@ztna/protocol';
import { agentRig, gist, helloAck, opened, registerNack } from './client-fixture.js';

t.test('a refused registration fails every pending request at once', (t) => {
  const rig = asking();
  rig.establish();
  t.match(rig.receive(helloAck(), registerNack('token_expired', 'clock')).slice(1), [
    { kind: 'disconnect' },
    { kind: 'event', event: { name: 'refused' } },
    { kind: 'sessionFailed', request: 1, service: 'web', code: 'token_expired', reason: 'clock' },
    { kind: 'sessionFailed', request: 2, service: 'dns', code: 'token_expired', reason: 'clock' },
  ]);
  t.equal(rig.machine.pendingCount, 0);
  t.end();
});

const refusals: FailureCode[] = ['certificate_required', 'certificate_unknown_ca', 'certificate_expired', 'certificate_name_mismatch', 'alpn_mismatch', 'role_not_allowed', 'version_unsupported'];
for (const code of refusals) {
  t.test(`${code} fails the requests at once, before and after the handshake looks done`, (t) => {
    for (const established of [false, true]) {
      const rig = asking();
      // In TLS 1.3 a server refuses the client's certificate after the client has finished.
      if (established) rig.establish();
      t.strictSame(gist(disconnect(rig, code)), ['event disconnected', 'sessionFailed', 'sessionFailed']);
    }
    t.end();
  });
}

const transient: FailureCode[] = ['relay_unreachable', 'connection_lost', 'handshake_timeout', 'idle_timeout', 'draining', 'no_error', 'internal_error'];
for (const code of transient) {
  t.test(`${code} is retried until the deadline`, (t) => {
    const rig = asking();
    t.strictSame(gist(disconnect(rig, code)), ['event disconnected']);
    t.equal(rig.machine.pendingCount, 2);
    t.end();
  });
}

t.test('a relay that comes up within the deadline is good enough', (t) => {
  const rig = asking();
  rig.timeout();
  rig.timeout();
  t.equal(rig.machine.state, 'dialing', 'after a dial that timed out');
  rig.register();
  t.match(rig.receive(opened(1, { slot: 1, tag: 1 })), [{ kind: 'sessionOpened', request: 1 }]);
  t.end();
});

t.test('a relay that breaks the protocol counts as a refusal', (t) => {
  const rig = asking();
  rig.establish();
  t.match(rig.receive(helloAck({ version: 9 })).slice(2), [{ code: 'version_unsupported' }, { code: 'version_unsupported' }]);
  t.end();
});

t.test('a refused open fails its own request', (t) => {
  const rig = asking();
  rig.register();
  t.match(rig.receive({ type: 'openFailed', request: 1, code: 'policy_denied', reason: 'no' }), [
    { kind: 'sessionFailed', request: 1, code: 'policy_denied' },
  ]);
  t.end();
});

t.test('without failFast a refusal leaves the requests to their deadline', (t) => {
  const rig = asking(false);
  rig.establish();
  t.strictSame(gist(rig.receive(helloAck(), registerNack('token_expired')).slice(1)), ['disconnect', 'event refused']);
  t.equal(rig.machine.pendingCount, 2);
  t.end();
});

function asking(failFast = true) {
  const rig = agentRig({ failFast });
  rig.start();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.step((agent, now) => agent.openSession('dns', now));
  return rig;
}

function disconnect(rig: ReturnType<typeof asking>, code: FailureCode) {
  return rig.step((agent, now) => agent.handleDisconnected(0, { code, reason: '' }, now));
}
