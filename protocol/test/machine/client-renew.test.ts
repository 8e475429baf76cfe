// What a client proves itself by was replaced: its link is made anew, and the old one serves until the new one stands.

import t from 'tap';
import { CONNECTOR, connectorRig, gist, helloAck, incoming, opened, readyAgent, readyConnector, registerAck, RELAY_1, TOKEN, TWO_RELAYS } from './client-fixture.js';

const SESSION = { slot: 3, tag: 33 };
const MOVED = { slot: 4, tag: 44 };
const SPREAD_HALF_MS = 500;

/** Renews, and the successor has connected and registered. */
const renewed = <R extends ReturnType<typeof readyConnector> | ReturnType<typeof readyAgent>>(rig: R, services: string[] = []) => {
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  return rig.on(1).register(RELAY_1, services);
};

t.test('dials the same relay within the spread while the old link stays in use', async (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  const from = rig.clock.now;
  t.strictSame(rig.step((machine, now) => machine.renew(now)), []);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 1, relay: 0 }]);
  t.equal(rig.clock.now - from, SPREAD_HALF_MS);
  t.equal(rig.machine.link, 0);
  t.equal(rig.machine.registered, true);
});

t.test('an agent moves over and leaves the old link with its last session', async (t) => {
  const rig = readyAgent();
  const request = rig.machine.openSession('web', rig.clock.now);
  rig.receive(opened(request, SESSION, CONNECTOR));
  t.strictSame(gist(renewed(rig)), ['send hello', 'send register', 'event observed_address', 'event registered', 'event renewed', 'relayMoved']);
  t.equal(rig.machine.link, 1);
  t.equal(rig.machine.linkCount, 2);
  t.strictSame(gist(rig.step((machine, now) => machine.closeSession(0, SESSION, now))), ['send closeSession', 'disconnect', 'event left']);
});

t.test('an agent asks for nothing to be taken over', async (t) => {
  const rig = readyAgent();
  t.match(renewed(rig)[1], { message: { type: 'register', token: TOKEN } });
  t.notMatch(JSON.stringify(renewed(readyAgent())), 'takeOver');
});

t.test('a connector has its sessions taken over, and then leaves the old link', async (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION));
  const commands = renewed(rig, ['web']);
  t.match(commands[1], { kind: 'send', link: 1, message: { type: 'register', takeOver: true } });
  t.equal(rig.machine.linkCount, 2, 'until every session has come over');
  const moved = rig.on(1).receive({ type: 'sessionMoved', session: MOVED, before: SESSION });
  t.strictSame(moved[0], { kind: 'sessionMoved', from: { link: 0, session: SESSION }, to: { link: 1, session: MOVED } });
  t.strictSame(gist(moved), ['sessionMoved', 'disconnect', 'event left']);
  t.equal(rig.machine.sessionCount, 1);
  t.strictSame(rig.on(1).receive({ type: 'sessionClosed', session: MOVED, code: 'agent_gone' }), [{ kind: 'sessionClosed', link: 1, session: MOVED, code: 'agent_gone' }]);
});

t.test('a connector without sessions leaves the old link at once', async (t) => {
  t.strictSame(gist(renewed(readyConnector(), ['web'])), ['send hello', 'send register', 'event observed_address', 'event registered', 'event renewed', 'disconnect', 'event left']);
});

t.test('a session that ended meanwhile is closed under its new name', async (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION));
  renewed(rig, ['web']);
  rig.receive({ type: 'sessionClosed', session: SESSION, code: 'agent_gone' });
  t.match(rig.on(1).receive({ type: 'sessionMoved', session: MOVED, before: SESSION }), [{ kind: 'send', link: 1, message: { type: 'closeSession', session: MOVED } }]);
  t.equal(rig.machine.sessionCount, 0);
});

t.test('a relay that names sessions of no link that was left moves none', async (t) => {
  const rig = readyConnector();
  rig.receive(incoming(SESSION));
  t.match(rig.receive({ type: 'sessionMoved', session: MOVED, before: SESSION }), [{ kind: 'send', link: 0, message: { type: 'closeSession', session: MOVED } }]);
  t.match(rig.receive({ type: 'sessionMoved', session: SESSION, before: MOVED }), [{ kind: 'event', event: { name: 'message_ignored', code: 'protocol_error' } }]);
  t.equal(rig.machine.sessionCount, 1);
});

t.test('while the relay refuses the new connection the old one serves, and no other relay is tried', async (t) => {
  const rig = readyConnector({ relays: TWO_RELAYS });
  rig.receive(incoming(SESSION));
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  for (let attempt = 0; attempt < 3; attempt += 1) {
    t.strictSame(gist(rig.on(1).lose('certificate_unknown_ca')), ['event disconnected']);
    t.equal(rig.machine.registered, true);
    t.strictSame(rig.timeout().filter(({ kind }) => kind === 'dial'), [{ kind: 'dial', link: 1, relay: 0 }]);
  }
  t.equal(rig.machine.sessionCount, 1);
  t.ok(gist(rig.on(1).register(RELAY_1, ['web'])).includes('event renewed'));
});

t.test('when the old link is lost meanwhile the new one takes its place, and may go elsewhere', async (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  rig.lose();
  t.equal(rig.machine.link, 1);
  t.strictSame(gist(rig.on(1).lose()), ['event disconnected']);
  t.match(rig.timeout(), [{ kind: 'dial', link: 1, relay: 1 }]);
});

t.test('replaced again while the successor connects: it is made anew once it stands', async (t) => {
  const rig = readyAgent();
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  rig.on(1).establish();
  rig.machine.renew(rig.clock.now);
  rig.on(1).receive(helloAck(), registerAck());
  t.equal(rig.machine.link, 1);
  t.strictSame(rig.timeout().filter(({ kind }) => kind === 'dial'), [{ kind: 'dial', link: 2, relay: 0 }]);
});

t.test('replaced again before the successor has dialed: once is enough', async (t) => {
  const rig = readyAgent();
  rig.machine.renew(rig.clock.now);
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  rig.on(1).register();
  t.equal(rig.machine.linkCount, 1);
  t.strictSame(rig.timeout().filter(({ kind }) => kind === 'dial'), []);
});

t.test('without a connection there is nothing to make anew: the next dial is', async (t) => {
  const rig = readyAgent();
  rig.lose();
  t.strictSame(rig.step((machine, now) => machine.renew(now)), []);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0 }]);
  t.strictSame(gist(rig.register()), ['send hello', 'send register', 'event registered']);
  t.equal(rig.machine.linkCount, 1);
});

t.test('a relay that drains is left for another, not dialed anew', async (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.receive({ type: 'drain', deadlineMs: 20_000 });
  rig.machine.renew(rig.clock.now);
  t.match(rig.timeout(), [{ kind: 'dial', link: 1, relay: 1 }]);
  t.equal(rig.machine.linkCount, 2);
});

t.test('the links to all workers are made anew, each at its worker', async (t) => {
  const rig = connectorRig();
  const at = (link: number, index: number) => rig.on(link).establish() && rig.on(link).receive(helloAck({ worker: { index, count: 2 } }), registerAck(['web']));
  rig.start();
  at(0, 0);
  at(1, 1);
  rig.on(1).receive(incoming(SESSION));
  rig.machine.renew(rig.clock.now);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 2, relay: 0, worker: { index: 0, count: 2 } }, { kind: 'dial', link: 3, relay: 0, worker: { index: 1, count: 2 } }]);
  t.ok(gist(at(2, 0)).includes('event left'), 'no session held the old one');
  t.notOk(gist(at(3, 1)).includes('event left'), 'until its session has come over');
  t.strictSame(gist(rig.on(3).receive({ type: 'sessionMoved', session: MOVED, before: SESSION })), ['sessionMoved', 'disconnect', 'event left']);
  t.equal(rig.machine.link, 2);
  t.equal(rig.machine.linkCount, 2);
});

t.test('a link to a worker that is lost while it is made anew leaves its place to the new one', async (t) => {
  const rig = connectorRig();
  const at = (link: number, index: number) => rig.on(link).establish() && rig.on(link).receive(helloAck({ worker: { index, count: 2 } }), registerAck(['web']));
  rig.start();
  at(0, 0);
  at(1, 1);
  rig.machine.renew(rig.clock.now);
  rig.timeout();
  rig.on(1).lose();
  t.strictSame(gist(rig.on(3).lose()), ['event disconnected']);
  t.match(rig.timeout(), [{ kind: 'dial', link: 3, relay: 0, worker: { index: 1, count: 2 } }]);
  at(2, 0);
  at(3, 1);
  t.equal(rig.machine.linkCount, 2);
});
