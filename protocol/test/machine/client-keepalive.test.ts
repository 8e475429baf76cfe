// Keepalive: a ping every 10 s, its round-trip time, and a relay that is gone within 15 s.

import t from 'tap';
import { VIRTUAL_EPOCH_MS } from '@ztna/protocol/testing';
import { event, linkRig } from './client-fixture.js';

t.test('pings 10 s after it became ready, and every 10 s from there', (t) => {
  const rig = ready();
  const readyAt = rig.clock.now;
  for (const n of [1, 2, 3]) {
    t.strictSame(rig.timeout(), [ping(readyAt + n * 10_000)]);
    t.equal(rig.clock.now, readyAt + n * 10_000);
    const timestamp = VIRTUAL_EPOCH_MS + rig.clock.now;
    rig.clock.advance(40);
    rig.receive({ type: 'pong', timestamp });
  }
  t.end();
});

t.test('measures the round trip from ping to pong', (t) => {
  const rig = ready();
  rig.timeout();
  t.equal(rig.machine.rttMs, undefined);
  const timestamp = VIRTUAL_EPOCH_MS + rig.clock.now;
  rig.clock.advance(37);
  t.strictSame(rig.receive({ type: 'pong', timestamp }), [
    event({ level: 'debug', name: 'rtt_measured', relay: 'relay-1', rttMs: 37 }),
  ]);
  t.equal(rig.machine.rttMs, 37);
  t.end();
});

t.test('a relay that stops answering is left within 15 s', (t) => {
  const rig = ready();
  const readyAt = rig.clock.now;
  rig.timeout();
  t.equal(rig.machine.pollTimeout(), readyAt + 15_000);
  const reason = 'no pong within 5000 ms';
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

t.test('a pong nobody asked for, of another time or repeated, keeps no link alive', (t) => {
  const rig = ready();
  const ignored = [event({
    level: 'warn', name: 'message_ignored', relay: 'relay-1', about: 'pong', code: 'unexpected_message',
    reason: 'a control message this role may not send, or not yet',
  })];
  t.strictSame(rig.receive({ type: 'pong', timestamp: 1 }), ignored, 'before any ping');
  rig.timeout();
  const timestamp = VIRTUAL_EPOCH_MS + rig.clock.now;
  t.strictSame(rig.receive({ type: 'pong', timestamp: timestamp - 1 }), ignored, 'of another time');
  t.equal(rig.machine.rttMs, undefined);
  rig.receive({ type: 'pong', timestamp });
  t.strictSame(rig.receive({ type: 'pong', timestamp }), ignored, 'repeated');
  rig.timeout();
  rig.receive({ type: 'pong', timestamp });
  rig.timeout();
  t.equal(rig.machine.state, 'waiting');
  t.end();
});

t.test('other messages do not stand in for a pong', (t) => {
  const rig = ready();
  rig.timeout();
  rig.clock.advance(4_000);
  rig.receive({ type: 'ping', timestamp: 5 });
  rig.timeout();
  t.equal(rig.machine.state, 'waiting');
  t.end();
});

t.test('a process that slept for an hour asks first before it gives the relay up', (t) => {
  const rig = ready();
  rig.clock.advance(3_600_000);
  t.strictSame(rig.step((link, now) => link.handleTimeout(now)), [ping(rig.clock.now)]);
  t.equal(rig.machine.pollTimeout(), rig.clock.now + 5_000);
  t.end();
});

function ready() {
  const rig = linkRig();
  rig.start();
  rig.register();
  return rig;
}

function ping(now: number) {
  return { kind: 'send', link: 0, message: { type: 'ping', timestamp: VIRTUAL_EPOCH_MS + now } };
}
