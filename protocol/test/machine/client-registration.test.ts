// What the relay answers to hello and register, and what each refusal leads to.

import t from 'tap';
import type { ControlMessage, FailureCode } from '@ztna/protocol';
import { event, helloAck, linkRig, registerAck, registerNack, RELAY_2 } from './client-fixture.js';

t.test('reports a refused registration with its code, disconnects and tries again', (t) => {
  const codes = ['token_expired', 'token_from_future', 'token_unknown_key', 'token_out_of_scope', 'token_bad_signature'] as const;
  for (const code of codes) {
    const rig = registering();
    t.strictSame(rig.receive(registerNack(code, 'check both clocks')), [
      { kind: 'disconnect', link: 0, code: 'no_error', reason: 'registration refused' },
      event({ level: 'warn', name: 'refused', relay: 'relay-1', code, reason: 'check both clocks', retryInMs: 125 }),
    ]);
    t.strictSame(rig.machine.lastFailure, { code, reason: 'check both clocks', refusal: true });
    t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0 }], `${code} is not permanent`);
  }
  t.end();
});

t.test('makes the text of a refusal safe to print', (t) => {
  const rig = registering();
  rig.receive(registerNack('token_expired', 'a\u001b]0;x\u0007\nb\u202ec'));
  t.equal(rig.machine.lastFailure?.reason, 'a\ufffd]0;x\ufffd\ufffdb\ufffdc');
  t.end();
});

const violations: [title: string, messages: ControlMessage[], code: FailureCode][] = [
  ['a version that was not offered', [helloAck({ version: 2 })], 'version_unsupported'],
  ['another identity than the configured one', [helloAck({ relay: RELAY_2 })], 'protocol_error'],
  ['the right name in another trust domain', [helloAck({ relay: 'spiffe://evil.test/relay/relay-1' })], 'protocol_error'],
  ['the right name in another role', [helloAck({ relay: 'spiffe://example.test/agent/relay-1' })], 'protocol_error'],
  ['a second helloAck', [helloAck(), helloAck()], 'unexpected_message'],
  ['registerAck before helloAck', [registerAck()], 'unexpected_message'],
  ['registerNack before helloAck', [registerNack('token_expired')], 'unexpected_message'],
  ['a second registerAck', [helloAck(), registerAck(), registerAck()], 'unexpected_message'],
  ['registerNack after registerAck', [helloAck(), registerAck(), registerNack('token_expired')], 'unexpected_message'],
];
for (const [title, messages, code] of violations) {
  t.test(`closes on ${title}`, (t) => {
    const rig = linkRig();
    rig.start();
    rig.establish();
    const last = messages.at(-1)!;
    rig.receive(...messages.slice(0, -1));
    t.equal(rig.machine.connected, true, 'up to there all is well');
    const [disconnect, violation, ...rest] = rig.receive(last);
    t.match(disconnect, { kind: 'disconnect', link: 0, code: 'protocol_error' });
    t.match(violation, { kind: 'event', event: { level: 'warn', name: 'protocol_violation', code, retryInMs: 125 } });
    t.strictSame(rest, []);
    t.equal(rig.machine.state, 'waiting');
    t.end();
  });
}

function registering() {
  const rig = linkRig();
  rig.start();
  rig.establish();
  rig.receive(helloAck());
  return rig;
}
