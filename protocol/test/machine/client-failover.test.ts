// Several relays: the next one after a failure, and after a drain.

import t from 'tap';
import { event, helloAck, linkRig, registerNack, RELAY_2, TWO_RELAYS } from './client-fixture.js';

t.test('dials the next relay after each failure, round and round', (t) => {
  const rig = linkRig({ relays: TWO_RELAYS });
  const dialed = [rig.start()];
  for (let n = 0; n < 3; n += 1) {
    rig.lose('relay_unreachable');
    dialed.push(rig.timeout());
  }
  t.strictSame(dialed.flat(), [0, 1, 0, 1].map((relay) => ({ kind: 'dial', link: 0, relay })));
  t.end();
});

t.test('a refused registration moves on to the next relay too', (t) => {
  const rig = linkRig({ relays: TWO_RELAYS });
  rig.start();
  rig.establish();
  rig.receive(helloAck(), registerNack('token_unknown_key'));
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 1 }]);
  t.end();
});

t.test('expects of each relay its own name', (t) => {
  const rig = linkRig({ relays: TWO_RELAYS });
  rig.start();
  rig.lose();
  rig.timeout();
  t.equal(rig.machine.relay.name, 'relay-2');
  rig.register(RELAY_2);
  t.equal(rig.machine.state, 'ready');
  t.end();
});

t.test('a draining relay is used until it closes, and the next dial goes elsewhere', (t) => {
  const rig = linkRig({ relays: TWO_RELAYS });
  rig.start();
  rig.register();
  t.strictSame(rig.receive({ type: 'drain', deadlineMs: 20_000 }), [
    event({ level: 'info', name: 'draining', relay: 'relay-1', deadlineMs: 20_000 }),
  ]);
  t.equal(rig.machine.state, 'ready');
  t.equal(rig.machine.drainDeadline, rig.clock.now + 20_000);
  rig.clock.advance(9_000);
  t.strictSame(rig.step((link, now) => link.handleDisconnected({ code: 'draining', reason: 'bye' }, now)), [
    event({ level: 'info', name: 'disconnected', relay: 'relay-1', code: 'draining', reason: 'bye', retryInMs: 125 }),
  ]);
  t.equal(rig.machine.drainDeadline, undefined);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 1 }]);
  t.end();
});

t.test('with one relay, a drain leads back to it', (t) => {
  const rig = linkRig();
  rig.start();
  rig.register();
  rig.receive({ type: 'drain', deadlineMs: 0 });
  rig.lose();
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0 }]);
  t.end();
});
