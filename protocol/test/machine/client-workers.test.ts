// A relay with several workers: a connector is registered with each of them, an agent with one.

import t from 'tap';
import {
  agentRig, connectorRig, DIAL, gist, helloAck, HALF, incoming, linkRig, registerAck, registerNack, RELAY_1, RELAY_2, sessionClosed, TRUST_DOMAIN, TWO_RELAYS,
} from './client-fixture.js';

const SESSION = { slot: 3, tag: 33 };
const DRAIN = { type: 'drain', deadlineMs: 20_000 } as const;
const THREE_RELAYS = [...TWO_RELAYS, { name: 'relay-3', trustDomain: TRUST_DOMAIN }];

t.test('a connector that learns of other workers dials each of them at once', (t) => {
  const rig = connectorRig();
  rig.start();
  t.strictSame(dials(registerAt(rig, 1, 3)), [
    { kind: 'dial', link: 1, relay: 0, worker: { index: 0, count: 3 } },
    { kind: 'dial', link: 2, relay: 0, worker: { index: 2, count: 3 } },
  ]);
  t.match(registerAt(rig.on(1), 0, 3), [{}, {}, {}, { event: { name: 'registered', worker: 0 } }]);
  t.strictSame(dials(registerAt(rig.on(2), 2, 3)), []);
  t.equal(rig.machine.linkCount, 3);
  t.equal(rig.machine.link, 0);
  t.end();
});

t.test('at a relay without workers, and as an agent, there is one link', (t) => {
  const plain = connectorRig();
  plain.start();
  t.strictSame(dials(plain.register(RELAY_1, ['web'])), []);
  const agent = agentRig();
  agent.start();
  t.strictSame(dials(registerAt(agent, 0, 8)), []);
  t.equal(agent.machine.linkCount, 1);
  t.end();
});

t.test('sessions of all workers are taken, and equal handles kept apart', (t) => {
  const rig = withWorkers(2);
  t.match(rig.receive(incoming(SESSION)), [{ kind: 'sessionIncoming', link: 0 }, { kind: 'send', link: 0 }]);
  t.match(rig.on(1).receive(incoming(SESSION)), [{ kind: 'sessionIncoming', link: 1 }, { kind: 'send', link: 1 }]);
  t.match(rig.receive(sessionClosed(SESSION)), [{ kind: 'sessionClosed', link: 0 }]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('a lost link to another worker is dialed again, that worker and no other relay; the rest stands', (t) => {
  const rig = withWorkers(2, { relays: TWO_RELAYS });
  rig.on(1).receive(incoming(SESSION));
  t.strictSame(gist(rig.on(1).lose()), ['event disconnected', 'sessionClosed']);
  t.equal(rig.machine.state, 'ready');
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 1, relay: 0, worker: { index: 1, count: 2 } }]);
  t.strictSame(dials(registerAt(rig.on(1), 1, 2)), []);
  t.equal(rig.machine.link, 0);
  t.end();
});

t.test('when the link in use is lost, another takes its place, and the lost one is dialed as one of the others', (t) => {
  const rig = withWorkers(2, { relays: TWO_RELAYS });
  t.strictSame(gist(rig.lose()), ['event disconnected']);
  t.equal(rig.machine.link, 1);
  t.ok(rig.machine.registered);
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0, worker: { index: 0, count: 2 } }]);
  t.strictSame(dials(registerAt(rig, 0, 2)), []);
  t.equal(rig.machine.linkCount, 2);
  t.end();
});

t.test('a link in use that was refused gives its worker to a link of its own', (t) => {
  const rig = withWorkers(2, { relays: TWO_RELAYS });
  t.strictSame(dials(rig.lose('certificate_revoked')), [{ kind: 'dial', link: 2, relay: 0, worker: { index: 0, count: 2 } }]);
  t.equal(rig.machine.link, 1);
  t.equal(rig.machine.linkCount, 2);
  t.end();
});

t.test('when all are lost, one dials, whichever worker it meets, and the others follow it', (t) => {
  const rig = withWorkers(3);
  rig.on(1).lose();
  rig.on(2).lose();
  rig.lose();
  t.equal(rig.machine.linkCount, 1);
  t.strictSame(rig.timeout(), [DIAL]);
  t.strictSame(dials(registerAt(rig, 1, 2)).map(({ worker }) => worker), [{ index: 0, count: 2 }], 'it has another number of them by now');
  t.end();
});

t.test('with another relay to go to, one that lost all workers tries the same relay first and then the next', (t) => {
  const rig = withWorkers(2, { relays: TWO_RELAYS });
  rig.on(1).lose();
  rig.lose();
  t.strictSame(rig.timeout(), [DIAL]);
  rig.lose('relay_unreachable');
  t.strictSame(rig.timeout(), [{ ...DIAL, relay: 1 }]);
  t.strictSame(dials(registerAt(rig, 0, 2, RELAY_2)), [{ kind: 'dial', link: 2, relay: 1, worker: { index: 1, count: 2 } }]);
  t.end();
});

t.test('an agent whose worker is gone dials the same relay again: the connectors are still there', (t) => {
  const rig = agentRig({ relays: TWO_RELAYS });
  rig.start();
  registerAt(rig, 0, 2);
  rig.lose();
  t.strictSame(rig.timeout(), [DIAL]);
  rig.lose('relay_unreachable');
  t.strictSame(rig.timeout(), [{ ...DIAL, relay: 1 }]);
  t.end();
});

t.test('without workers, or refused, the next relay is tried as ever', (t) => {
  for (const [worker, code] of [[undefined, 'connection_lost'], [{ index: 0, count: 2 }, 'certificate_revoked'], [{ index: 0, count: 2 }, 'draining']] as const) {
    const rig = agentRig({ relays: TWO_RELAYS });
    rig.start();
    rig.establish();
    rig.receive(helloAck(worker && { worker }), registerAck());
    rig.lose(code);
    t.strictSame(rig.timeout(), [{ ...DIAL, relay: 1 }], code);
  }
  t.end();
});

t.test('a link that meets another worker than it asked for is left', (t) => {
  const rig = connectorRig();
  rig.start();
  registerAt(rig, 0, 2);
  t.strictSame(gist(registerAt(rig.on(1), 0, 2)).slice(-2), ['event registered', 'disconnect']);
  t.equal(rig.machine.linkCount, 1);
  t.end();
});

t.test('a relay with workers that drains is left by all links, those with sessions when these are over', (t) => {
  const rig = withWorkers(2, { relays: THREE_RELAYS });
  rig.on(1).receive(incoming(SESSION));
  rig.on(1).receive(DRAIN);
  t.strictSame(dials(rig.receive(DRAIN)), [], 'after the spread');
  t.match(rig.timeout(), [{ kind: 'dial', link: 2, relay: 1 }]);
  const moved = registerAt(rig.on(2), 0, 2, RELAY_2);
  t.strictSame(dials(moved), [{ kind: 'dial', link: 3, relay: 1, worker: { index: 1, count: 2 } }]);
  t.match(moved.filter(({ kind }) => kind === 'disconnect'), [{ link: 0 }]);
  t.equal(rig.machine.link, 2);
  t.match(rig.on(1).receive(sessionClosed(SESSION)).filter(({ kind }) => kind === 'disconnect'), [{ link: 1 }]);
  registerAt(rig.on(3), 1, 2, RELAY_2);
  t.equal(rig.machine.linkCount, 2);
  t.end();
});

t.test('with nowhere to go the links stay until they are closed, and come back one first', (t) => {
  const rig = withWorkers(2);
  rig.on(1).receive(DRAIN);
  rig.receive(DRAIN);
  t.equal(rig.machine.linkCount, 2);
  rig.lose('draining');
  rig.on(1).lose('draining');
  t.equal(rig.machine.linkCount, 1);
  t.strictSame(rig.timeout(), [DIAL]);
  t.strictSame(dials(registerAt(rig, 1, 2)).map(({ worker }) => worker), [{ index: 0, count: 2 }]);
  t.end();
});

t.test('a worker that refuses the registration is asked again, with growing pauses', (t) => {
  const rig = connectorRig();
  rig.start();
  registerAt(rig, 0, 2);
  const pauses = [1, 2, 3].map(() => {
    rig.on(1).establish();
    rig.on(1).receive(helloAck({ worker: { index: 1, count: 2 } }), registerNack('token_expired'));
    const from = rig.clock.now;
    t.strictSame(rig.timeout(), [{ kind: 'dial', link: 1, relay: 0, worker: { index: 1, count: 2 } }]);
    return rig.clock.now - from;
  });
  t.strictSame(pauses, [125, 250, 500]);
  t.end();
});

t.test('stop leaves every worker', (t) => {
  const rig = withWorkers(3);
  const commands = rig.step((machine, now) => machine.stop(now));
  t.strictSame(commands.filter(({ kind }) => kind === 'disconnect').map((command) => 'link' in command && command.link), [0, 1, 2]);
  t.equal(rig.machine.pollTimeout(), undefined);
  t.end();
});

t.test('a link by itself dials whichever worker', (t) => {
  const rig = linkRig({ random: HALF });
  t.strictSame(rig.start(), [DIAL]);
  t.end();
});

type Rig = ReturnType<typeof connectorRig>;
type AnyRig = Pick<Rig, 'establish' | 'receive'> | Pick<ReturnType<typeof agentRig>, 'establish' | 'receive'>;

function registerAt(rig: AnyRig, index: number, count: number, relay = RELAY_1): ReturnType<Rig['receive']> {
  return [...rig.establish(), ...rig.receive(helloAck({ relay, worker: { index, count } }), registerAck(['web']))] as ReturnType<Rig['receive']>;
}

/** Registered with all workers; link N is that of worker N. */
function withWorkers(count: number, init: Parameters<typeof connectorRig>[0] = {}): Rig {
  const rig = connectorRig(init);
  rig.start();
  registerAt(rig, 0, count);
  for (let index = 1; index < count; index++) registerAt(rig.on(index), index, count);
  return rig;
}

function dials(commands: ReturnType<Rig['receive']>) {
  return commands.filter((command) => command.kind === 'dial');
}
