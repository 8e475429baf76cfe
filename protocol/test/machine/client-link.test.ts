// A link's way from idle to ready and to stopped: exact commands.

import t from 'tap';
import { Link, type Identity } from '@ztna/protocol';
import { VIRTUAL_EPOCH_MS, VirtualClock } from '@ztna/protocol/testing';
import {
  DIAL, HELLO, linkInit, linkRig, OBSERVED_EVENT, REGISTER, RELAY_1, TRUST_DOMAIN, event, helloAck, registerAck,
} from './client-fixture.js';

t.test('dials the first relay at once, and only on the first start', (t) => {
  const rig = linkRig();
  t.equal(rig.machine.state, 'idle');
  t.equal(rig.machine.pollTimeout(), undefined);
  t.strictSame(rig.start(), [DIAL]);
  t.equal(rig.machine.state, 'dialing');
  t.strictSame(rig.start(), []);
  t.end();
});

t.test('sends hello and register in one flight, before any answer', (t) => {
  const rig = linkRig();
  rig.start();
  t.strictSame(rig.establish(), [HELLO, REGISTER]);
  t.equal(rig.machine.state, 'registering');
  t.equal(rig.machine.connected, true);
  t.end();
});

t.test('is ready after helloAck and registerAck', (t) => {
  const rig = linkRig();
  rig.start();
  rig.establish();
  t.strictSame(rig.receive(helloAck()), [OBSERVED_EVENT]);
  t.equal(rig.machine.state, 'registering');
  t.strictSame(rig.receive(registerAck(['web'])), [
    event({ level: 'info', name: 'registered', relay: 'relay-1', services: ['web'] }),
  ]);
  t.equal(rig.machine.state, 'ready');
  t.end();
});

t.test('mints each token for the relay it dialed, at the time of day', (t) => {
  const clock = new VirtualClock(5_000);
  const minted: [Identity, number][] = [];
  const link = new Link(linkInit(clock, {
    mintToken: (relay, nowEpochMs) => {
      minted.push([relay, nowEpochMs]);
      return new Uint8Array();
    },
  }));
  link.start(clock.now);
  link.handleEstablished(clock.advance(20));
  t.strictSame(minted, [[{ trustDomain: 'example.test', role: 'relay', name: 'relay-1' }, VIRTUAL_EPOCH_MS + 5_020]]);
  t.end();
});

t.test('names the address of a relay that does not answer', (t) => {
  const rig = linkRig({ relays: [{ name: 'relay-1', trustDomain: TRUST_DOMAIN, address: '192.0.2.1:4433' }] });
  rig.start();
  rig.timeout();
  t.equal(rig.machine.lastFailure?.reason, 'no answer from relay relay-1 at 192.0.2.1:4433 (UDP) within 5000 ms');
  t.end();
});

t.test('says of a relay that answered and took no handshake on that it is up', (t) => {
  const rig = linkRig();
  rig.start();
  rig.step((link) => link.handleAnswered());
  rig.timeout();
  t.match(rig.machine.lastFailure, { code: 'relay_unreachable', reason: /^relay relay-1 answered, but took no handshake on \(it limits them per address and in all\) within 5000 ms$/ });
  rig.timeout();
  rig.timeout();
  t.match(rig.machine.lastFailure?.reason, /^no answer from relay/, 'of this dial alone');
  t.end();
});

t.test('gives up a dial after 5 s as relay_unreachable', (t) => {
  const rig = linkRig();
  const startedAt = rig.clock.now;
  rig.start();
  t.equal(rig.machine.pollTimeout(), startedAt + 5_000);
  rig.clock.advance(4_999);
  t.strictSame(rig.step((link, now) => link.handleTimeout(now)), [], 'not a millisecond early');
  const reason = 'no answer from relay relay-1 within 5000 ms';
  t.strictSame(rig.timeout(), [
    { kind: 'disconnect', link: 0, code: 'relay_unreachable', reason },
    event({ level: 'warn', name: 'disconnected', relay: 'relay-1', code: 'relay_unreachable', reason, retryInMs: 125 }),
  ]);
  t.equal(rig.machine.state, 'waiting');
  t.strictSame(rig.machine.lastFailure, { code: 'relay_unreachable', reason, refusal: false });
  t.strictSame(rig.timeout(), [DIAL]);
  t.equal(rig.clock.now, startedAt + 5_125);
  t.end();
});

for (const missing of ['helloAck', 'registerAck'] as const) {
  t.test(`gives up 5 s after the handshake without ${missing}`, (t) => {
    const rig = linkRig();
    rig.start();
    rig.establish();
    rig.clock.advance(3_000);
    if (missing === 'registerAck') rig.receive(helloAck());
    const reason = `no ${missing} within 5000 ms`;
    const [disconnect] = rig.timeout();
    t.strictSame(disconnect, { kind: 'disconnect', link: 0, code: 'handshake_timeout', reason });
    t.equal(rig.machine.state, 'waiting');
    t.end();
  });
}

t.test('stop closes the connection and stays stopped whatever comes', (t) => {
  for (const prepare of ['dialing', 'registering', 'ready'] as const) {
    const rig = linkRig();
    rig.start();
    if (prepare === 'registering') rig.establish();
    if (prepare === 'ready') rig.register();
    t.equal(rig.machine.state, prepare);
    t.strictSame(rig.step((link, now) => link.stop(now)), [{ kind: 'disconnect', link: 0, code: 'no_error', reason: 'stopped' }]);
    t.equal(rig.machine.state, 'stopped');
    t.equal(rig.machine.pollTimeout(), undefined);
    rig.clock.advance(60_000);
    const after = [rig.start(), rig.establish(), rig.lose(), rig.receive(helloAck()), rig.step((link, now) => link.handleTimeout(now)), rig.step((link, now) => link.stop(now))];
    t.strictSame(after.flat(), []);
  }
  t.end();
});

t.test('stop while idle or waiting has nothing to close', (t) => {
  const idle = linkRig();
  t.strictSame(idle.step((link, now) => link.stop(now)), []);
  t.strictSame(idle.start(), []);
  const waiting = linkRig();
  waiting.start();
  waiting.lose();
  t.strictSame(waiting.step((link, now) => link.stop(now)), []);
  t.equal(waiting.machine.pollTimeout(), undefined);
  t.end();
});

t.test('commands that were not performed when the connection was lost do not reach the next one', (t) => {
  const rig = linkRig();
  rig.start();
  const { machine, clock } = rig;
  machine.handleEstablished(clock.now);
  t.strictSame(machine.nextCommand(), HELLO);
  // The driver's write failed: register must not be written to another relay.
  const left = rig.lose();
  t.equal(left.some(({ kind }) => kind === 'send'), false);
  t.equal(left.length, 1);
  t.end();
});

t.test('reports an observed address when it changes, over reconnects too', (t) => {
  const rig = linkRig();
  rig.start();
  rig.register();
  const observed = { host: '2001:db8::1', port: 4433 };
  t.strictSame(rig.receive({ type: 'observedAddress', observed: { host: '192.0.2.7', port: 50_000 } }), []);
  t.strictSame(rig.receive({ type: 'observedAddress', observed }), [
    event({ level: 'debug', name: 'observed_address', relay: 'relay-1', observed }),
  ]);
  t.strictSame(rig.machine.report.observed, observed);
  rig.lose();
  rig.timeout();
  rig.establish();
  t.strictSame(rig.receive(helloAck({ observed })), []);
  t.end();
});

t.test('answers a ping with its timestamp', (t) => {
  const rig = linkRig();
  rig.start();
  rig.register();
  t.strictSame(rig.receive({ type: 'ping', timestamp: 77 }), [{ kind: 'send', link: 0, message: { type: 'pong', timestamp: 77 } }]);
  t.end();
});

t.test('reports an error message as a warning and carries on', (t) => {
  const rig = linkRig();
  rig.start();
  rig.register();
  t.strictSame(rig.receive({ type: 'error', code: 'session_unknown', reason: 'no such\u001b[2J session', about: 'closeSession' }), [
    event({ level: 'warn', name: 'relay_error', relay: 'relay-1', code: 'session_unknown', reason: 'no such\ufffd[2J session', about: 'closeSession' }),
  ]);
  t.equal(rig.machine.state, 'ready');
  t.end();
});

t.test('refuses limits that would spin and a list without a relay', (t) => {
  const clock = new VirtualClock();
  t.throws(() => new Link(linkInit(clock, { relays: [] })), { message: /at least one relay/ });
  for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => new Link(linkInit(clock, { limits: { pingIntervalMs: bad } })), { message: /pingIntervalMs/ });
  }
  const link = new Link(linkInit(clock, { limits: { dialTimeoutMs: 700 } }));
  link.start(0);
  t.equal(link.pollTimeout(), 700);
  t.equal(link.relay.name, RELAY_1.split('/').at(-1));
  t.end();
});
