// Keepalive: a ping every 10 s, or 20 while nobody needs the relay; its round-trip time; and a relay that is gone within 15 s.

import t from 'tap';
import { VIRTUAL_EPOCH_MS } from '@ztna/protocol/testing';
import { agentRig, event, helloAck, linkRig, open, opened, readyAgent, readyConnector, registerAck, sessionClosed } from './client-fixture.js';

const PING = { kind: 'ping', link: 0, renewsId: false };

t.test('pings 10 s after it became ready, and every 10 s from there', (t) => {
  const rig = ready();
  const readyAt = rig.clock.now;
  for (const n of [1, 2, 3]) {
    t.strictSame(rig.timeout(), [PING]);
    t.equal(rig.clock.now, readyAt + n * 10_000);
    rig.clock.advance(40);
    rig.step((link, now) => link.handleHeard(40, now));
  }
  t.end();
});

t.test('measures the round trip, which is no less than what QUIC knows', (t) => {
  const rig = ready();
  rig.timeout();
  t.equal(rig.machine.rttMs, undefined);
  rig.clock.advance(37.5);
  t.strictSame(rig.step((link, now) => link.handleHeard(36, now)), [
    event({ level: 'debug', name: 'rtt_measured', relay: 'relay-1', rttMs: 37.5 }),
  ]);
  t.equal(rig.machine.rttMs, 37.5);
  rig.timeout();
  rig.clock.advance(0.5);
  rig.step((link, now) => link.handleHeard(36, now));
  t.equal(rig.machine.rttMs, 36, 'a packet that was under way already is heard, and is no measure');
  t.end();
});

t.test('a relay that stops answering is left within 15 s', (t) => {
  const rig = ready();
  const readyAt = rig.clock.now;
  rig.timeout();
  t.equal(rig.machine.pollTimeout(), readyAt + 15_000);
  const reason = 'no answer within 5000 ms';
  t.strictSame(rig.timeout(), [
    { kind: 'disconnect', link: 0, code: 'connection_lost', reason },
    // Ready for 15 s: the backoff starts anew.
    event({ level: 'warn', name: 'disconnected', relay: 'relay-1', code: 'connection_lost', reason, retryInMs: 125 }),
  ]);
  t.equal(rig.clock.now, readyAt + 15_000);
  t.equal(rig.machine.rttMs, undefined);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0 }]);
  t.end();
});

t.test('what is heard before a ping, or twice after it, counts for nothing', (t) => {
  const rig = ready();
  t.strictSame(rig.step((link, now) => link.handleHeard(10, now)), [], 'before');
  rig.timeout();
  t.equal(rig.step((link, now) => link.handleHeard(10, now)).length, 1);
  t.strictSame(rig.step((link, now) => link.handleHeard(10, now)), [], 'again');
  rig.timeout();
  rig.timeout();
  t.equal(rig.machine.state, 'waiting');
  t.end();
});

t.test('a pong is none: this client sends no ping on the control stream', (t) => {
  const rig = ready();
  rig.timeout();
  t.strictSame(rig.receive({ type: 'pong', timestamp: VIRTUAL_EPOCH_MS + rig.clock.now }), [event({
    level: 'warn', name: 'message_ignored', relay: 'relay-1', about: 'pong', code: 'unexpected_message',
    reason: 'a control message this role may not send, or not yet',
  })]);
  t.equal(rig.machine.rttMs, undefined);
  t.end();
});

t.test('every five minutes a ping goes out under another connection id', (t) => {
  const rig = ready();
  const renewals: number[] = [];
  for (let ping = 1; ping <= 61; ping++) {
    if (rig.timeout().some((command) => command.kind === 'ping' && command.renewsId)) renewals.push(ping);
    rig.step((link, now) => link.handleHeard(1, now));
  }
  t.same(renewals, [30, 60]);
  t.end();
});

t.test('a process that slept for an hour asks first, under another connection id, before it gives the relay up', (t) => {
  const rig = ready();
  rig.clock.advance(3_600_000);
  t.strictSame(rig.step((link, now) => link.handleTimeout(now)), [{ ...PING, renewsId: true }]);
  t.equal(rig.machine.pollTimeout(), rig.clock.now + 5_000);
  t.end();
});

t.test('an agent that nobody uses pings every 20 s', (t) => {
  const rig = readyAgent();
  const readyAt = rig.clock.now;
  for (const at of [20_000, 40_000]) {
    t.strictSame(rig.timeout(), [PING]);
    t.equal(rig.clock.now - readyAt, at);
    rig.step((agent, now) => agent.handleHeard(0, 1, now));
  }
  t.end();
});

t.test('it asks at once when it is needed again after more than 10 s', (t) => {
  const rig = readyAgent();
  const readyAt = rig.clock.now;
  rig.clock.advance(9_000);
  t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), [open(1, 'web')]);
  t.equal(rig.machine.pollTimeout()! - readyAt, 10_000, 'not yet');
  rig.receive({ type: 'openFailed', request: 1, code: 'service_unknown', reason: 'no' });
  t.equal(rig.machine.pollTimeout()! - readyAt, 20_000, 'it was refused');
  rig.clock.advance(6_000);
  t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), [open(2, 'web')]);
  t.equal(rig.machine.pollTimeout()! - readyAt, 10_000, 'overdue');
  t.strictSame(rig.step((agent, now) => agent.handleTimeout(now)), [PING], 'under the same connection id: it has not slept');
  t.equal(rig.machine.pollTimeout()! - readyAt, 20_000, 'a relay that is gone is noticed 5 s after it was needed');
  t.end();
});

t.test('with a session it pings every 10 s until that is over', (t) => {
  const rig = readyAgent();
  const readyAt = rig.clock.now;
  const session = { slot: 1, tag: 2 };
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(opened(1, session));
  t.strictSame(rig.timeout(), [PING]);
  t.equal(rig.clock.now - readyAt, 10_000);
  rig.step((agent, now) => agent.handleHeard(0, 1, now));
  t.equal(rig.machine.pollTimeout()! - readyAt, 20_000);
  rig.receive(sessionClosed(session));
  t.equal(rig.machine.pollTimeout()! - readyAt, 30_000);
  t.end();
});

t.test('a relay with a short idle timeout is asked within two thirds of it', (t) => {
  for (const [idleTimeoutMs, expected] of [[24_000, 16_000], [15_000, 10_000], [1, 10_000], [86_400_000, 20_000]] as const) {
    const rig = agentRig();
    rig.start();
    rig.establish();
    rig.receive(helloAck({ limits: { ...helloAck().limits, idleTimeoutMs } }), registerAck());
    const readyAt = rig.clock.now;
    t.equal(rig.machine.pollTimeout()! - readyAt, expected, `${idleTimeoutMs} ms`);
  }
  t.end();
});

t.test('a connector is needed by whoever may come: every 10 s', (t) => {
  const rig = readyConnector();
  const readyAt = rig.clock.now;
  t.equal(rig.machine.pollTimeout()! - readyAt, 10_000);
  t.end();
});

function ready() {
  const rig = linkRig();
  rig.start();
  rig.register();
  return rig;
}
