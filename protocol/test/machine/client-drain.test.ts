// A relay that drains: the client registers at the next one before it leaves this one.

import t from 'tap';
import {
  agentRig, AGENT, CONNECTOR, connectorRig, event, gist, helloAck, HALF, incoming, opened, registerNack, readyAgent, RELAY_1, RELAY_2, sessionClosed, TRUST_DOMAIN, TWO_RELAYS,
} from './client-fixture.js';

const DRAIN = { type: 'drain', deadlineMs: 20_000 } as const;
const SESSION = { slot: 3, tag: 33 };
const THREE_RELAYS = [...TWO_RELAYS, { name: 'relay-3', trustDomain: TRUST_DOMAIN }];
const SPREAD_HALF_MS = 500;

t.test('dials the next relay, within the spread, while the link to the draining one stands', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  t.strictSame(rig.receive(DRAIN), [
    event({ level: 'info', name: 'draining', relay: 'relay-1', deadlineMs: 20_000 }),
    { kind: 'relayDraining', link: 0 },
  ]);
  const drainedAt = rig.clock.now;
  t.strictSame(rig.timeout(), [{ kind: 'dial', link: 1, relay: 1 }]);
  t.equal(rig.clock.now - drainedAt, SPREAD_HALF_MS);
  t.equal(rig.machine.state, 'ready');
  t.equal(rig.machine.relay.name, 'relay-1', 'in use until the next one has registered us');
  t.end();
});

t.test('the spread is at most a quarter of the time left', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS, random: () => 0.999_999 });
  rig.receive({ type: 'drain', deadlineMs: 1_000 });
  t.equal(rig.machine.pollTimeout(), rig.clock.now + 249);
  const late = readyAgent({ relays: TWO_RELAYS });
  t.match(late.receive({ type: 'drain', deadlineMs: 0 }).at(-1), { kind: 'dial', link: 1, relay: 1 }, 'with no time left at once');
  t.end();
});

t.test('the old link is left when the new one has registered and its last session has ended', (t) => {
  const rig = agentWithSession();
  const moved = moveOver(rig);
  t.strictSame(gist(moved), ['send hello', 'send register', 'event registered', 'event moved', 'relayMoved']);
  t.strictSame(moved.at(-1), { kind: 'relayMoved', from: 0, to: 1 });
  t.equal(rig.machine.relay.name, 'relay-2');
  t.equal(rig.machine.linkCount, 2);
  t.strictSame(rig.step((agent, now) => agent.closeSession(0, SESSION, now)), [
    { kind: 'send', link: 0, message: { type: 'closeSession', session: SESSION } },
    { kind: 'disconnect', link: 0, code: 'no_error', reason: 'its sessions are over' },
    event({ level: 'info', name: 'left', relay: 'relay-1', code: 'no_error', reason: 'its sessions are over' }),
  ]);
  t.equal(rig.machine.linkCount, 1);
  t.end();
});

t.test('with no session on it the old link is left as soon as the new one has registered', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.receive(DRAIN);
  t.strictSame(gist(moveOver(rig)), ['send hello', 'send register', 'event registered', 'event moved', 'relayMoved', 'disconnect', 'event left']);
  t.end();
});

t.test('a session that the relay ends on the old link frees it too', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  t.strictSame(gist(rig.receive(sessionClosed(SESSION))), ['sessionClosed', 'disconnect', 'event left']);
  t.end();
});

t.test('sessions asked for after the move go over the new link, and the old ones stay', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  const [asked] = rig.step((agent, now) => agent.openSession('dns', now));
  t.match(asked, { kind: 'send', link: 1, message: { type: 'open', service: 'dns' } });
  t.match(rig.on(1).receive(opened(2, SESSION)), [{ kind: 'sessionOpened', request: 2, link: 1, session: SESSION }], 'the same handle at another relay is another session');
  t.equal(rig.machine.sessionCount, 2);
  t.end();
});

t.test('sessions asked for between the drain and the move wait for the new link', (t) => {
  const rig = agentWithSession();
  t.strictSame(rig.step((agent, now) => agent.openSession('dns', now)), []);
  t.strictSame(gist(moveOver(rig)), ['send hello', 'send register', 'event registered', 'event moved', 'send open', 'relayMoved'], 'sent as soon as it is in use');
  t.end();
});

t.test('a request that the draining relay has not answered is asked again of the next one', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(DRAIN);
  const moved = moveOver(rig);
  t.match(moved.filter(({ kind }) => kind === 'send').at(-1), { link: 1, message: { type: 'open', request: 1, service: 'web' } });
  t.match(rig.on(1).receive(opened(1, SESSION)), [{ kind: 'sessionOpened', request: 1, link: 1 }]);
  t.end();
});

t.test('a late answer of the draining relay to a request that was taken elsewhere is given back', (t) => {
  const rig = agentWithSession();
  // Sent before the drain is known, refused by it afterwards or not at all.
  rig.machine.openSession('dns', rig.clock.now);
  moveOver(rig);
  t.match(rig.receive(opened(2, { slot: 9, tag: 9 })), [{ kind: 'event', event: { name: 'message_ignored' } }], 'it was never sent there');
  const sent = readyAgent({ relays: TWO_RELAYS });
  sent.step((agent, now) => agent.openSession('web', now));
  sent.step((agent, now) => agent.openSession('dns', now));
  sent.receive(opened(2, SESSION), DRAIN);
  moveOver(sent);
  t.strictSame(sent.receive(opened(1, { slot: 9, tag: 9 })), [{ kind: 'send', link: 0, message: { type: 'closeSession', session: { slot: 9, tag: 9 } } }]);
  t.match(sent.on(1).receive(opened(1, { slot: 2, tag: 2 })), [{ kind: 'sessionOpened', request: 1, link: 1 }]);
  t.end();
});

t.test('one relay cannot answer a request that was sent to another', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  rig.step((agent, now) => agent.openSession('dns', now));
  t.match(rig.receive(opened(2, { slot: 9, tag: 9 })), [{ kind: 'event', event: { level: 'warn', name: 'message_ignored', relay: 'relay-1' } }]);
  t.equal(rig.machine.pendingCount, 1);
  t.end();
});

t.test('one relay cannot end a session of another', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  t.match(rig.on(1).receive(sessionClosed(SESSION)), [{ kind: 'event', event: { name: 'message_ignored', relay: 'relay-2' } }]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('an open that the relay refuses because it drains is no failure', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(DRAIN);
  t.strictSame(rig.receive({ type: 'openFailed', request: 1, code: 'draining', reason: 'shutting down' }), []);
  rig.timeout();
  t.match(rig.timeout(), [{ kind: 'dial', link: 1 }]);
  t.match(rig.on(1).register(RELAY_2).filter(({ kind }) => kind === 'send').at(-1), { link: 1, message: { type: 'open', request: 1 } });
  t.end();
});

t.test('a relay that says draining without having announced it is believed once', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.receive({ type: 'openFailed', request: 1, code: 'draining', reason: '' }), [{ kind: 'sessionFailed', code: 'draining' }]);
  t.end();
});

t.test('while the next relay refuses, the client stays on the first and tries on', (t) => {
  const rig = agentWithSession();
  rig.timeout();
  rig.on(1).establish();
  const refused = rig.on(1).receive(helloAck({ relay: RELAY_2 }), registerNack('token_unknown_key'));
  t.strictSame(gist(refused), ['event observed_address', 'disconnect', 'event refused']);
  t.equal(rig.machine.relay.name, 'relay-1');
  t.equal(rig.machine.sessionCount, 1);
  t.match(rig.timeout(), [{ kind: 'dial', link: 1, relay: 1 }], 'relay-1 is not dialed: its link stands');
  t.end();
});

t.test('a one-shot agent does not fail for a refusal by the next relay while it still has the first', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS, failFast: true });
  rig.receive(DRAIN);
  rig.step((agent, now) => agent.openSession('web', now));
  rig.timeout();
  rig.on(1).establish();
  t.notMatch(rig.on(1).receive(helloAck({ relay: RELAY_2 }), registerNack('token_unknown_key')), [{ kind: 'sessionFailed' }]);
  t.equal(rig.machine.pendingCount, 1);
  t.end();
});

t.test('the relay may close before the next one is found: its sessions end, and the search goes on', (t) => {
  const rig = agentWithSession();
  rig.timeout();
  t.strictSame(rig.lose('draining', 'bye'), [
    event({ level: 'info', name: 'left', relay: 'relay-1', code: 'draining', reason: 'bye' }),
    { kind: 'sessionClosed', link: 0, session: SESSION, code: 'draining' },
  ]);
  t.equal(rig.machine.state, 'dialing');
  t.equal(rig.machine.link, 1);
  t.equal(rig.machine.linkCount, 1);
  rig.on(1).lose('relay_unreachable');
  t.match(rig.timeout(), [{ kind: 'dial', link: 1, relay: 0 }], 'now the first one may be dialed again');
  t.end();
});

t.test('a relay that does not close at its deadline is left then, with what is open', (t) => {
  const rig = agentWithSession();
  const deadline = rig.machine.drainDeadline!;
  moveOver(rig);
  const seen: string[] = [];
  while (rig.clock.now < deadline) seen.push(...gist(rig.timeout()).filter((kind) => kind !== 'ping'), ...answers(rig));
  t.equal(rig.clock.now, deadline);
  t.strictSame(seen.slice(-3), ['disconnect', 'event left', 'sessionClosed']);
  t.equal(rig.machine.linkCount, 1);
  t.end();
});

t.test('the second relay drains during the move: a third is dialed, and both old links stay while they are of use', (t) => {
  const rig = agentWithSession(THREE_RELAYS);
  moveOver(rig);
  rig.step((agent, now) => agent.openSession('web', now));
  rig.on(1).receive(opened(2, SESSION));
  t.strictSame(rig.on(1).receive(DRAIN).at(-1), { kind: 'relayDraining', link: 1 });
  t.match(rig.timeout(), [{ kind: 'dial', link: 2, relay: 2 }]);
  t.match(rig.on(2).register(`spiffe://${TRUST_DOMAIN}/relay/relay-3`).at(-1), { kind: 'relayMoved', from: 1, to: 2 });
  t.equal(rig.machine.linkCount, 3);
  rig.step((agent, now) => agent.closeSession(0, SESSION, now));
  rig.step((agent, now) => agent.closeSession(1, SESSION, now));
  t.equal(rig.machine.linkCount, 1);
  t.end();
});

t.test('with all relays draining the client stays until one closes, and then dials that one', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  rig.on(1).receive(DRAIN);
  t.equal(rig.machine.relay.name, 'relay-2', 'nowhere to go');
  t.strictSame(gist(rig.lose('draining')), ['event left', 'sessionClosed'], 'relay-1 is gone');
  t.match(rig.timeout(), [{ kind: 'dial', link: 2, relay: 0 }], 'and may be back');
  t.match(rig.on(2).register(RELAY_1).find(({ kind }) => kind === 'relayMoved'), { from: 1, to: 2 });
  t.end();
});

t.test('a relay that drains while it registers us is not the end of the move', (t) => {
  const rig = agentWithSession();
  rig.timeout();
  rig.on(1).establish();
  rig.on(1).receive(helloAck({ relay: RELAY_2 }), DRAIN, registerNack('draining'));
  t.equal(rig.machine.relay.name, 'relay-1');
  t.match(rig.timeout(), [{ kind: 'dial', link: 1, relay: 1 }]);
  t.end();
});

t.test('a second drain only moves the deadline', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  rig.receive(DRAIN);
  rig.receive({ type: 'drain', deadlineMs: 5_000 });
  t.equal(rig.machine.drainDeadline, rig.clock.now + 5_000);
  t.equal(rig.machine.linkCount, 2);
  t.end();
});

t.test('with one relay the client stays until it is closed, and requests wait for its next life', (t) => {
  const rig = readyAgent();
  rig.receive(DRAIN);
  t.strictSame(rig.step((agent, now) => agent.openSession('web', now)), []);
  t.equal(rig.machine.linkCount, 1);
  t.strictSame(gist(rig.lose('draining')), ['event disconnected']);
  t.match(rig.timeout(), [{ kind: 'dial', link: 0, relay: 0 }]);
  t.strictSame(gist(rig.register()).filter((kind) => kind.startsWith('send')), ['send hello', 'send register', 'send open']);
  t.end();
});

t.test('a request that no relay takes in time fails, and says that the relay is shutting down', (t) => {
  const rig = readyAgent({ limits: { openTimeoutMs: 3_000 } });
  rig.receive(DRAIN);
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.timeout(), [{ kind: 'sessionFailed', code: 'draining', reason: 'relay relay-1 is shutting down, and no other took over within 3000 ms' }]);
  t.end();
});

t.test('after a move a connector that is not there yet is asked for again, for a while', (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS, limits: { settleMs: 600, settleRetryMs: 250 } });
  rig.receive(DRAIN);
  moveOver(rig);
  const next = rig.on(1);
  const absent = { type: 'openFailed', request: 1, code: 'connector_absent', reason: 'no connector' } as const;
  rig.step((agent, now) => agent.openSession('web', now));
  for (const attempt of [1, 2]) {
    t.strictSame(next.receive(absent), [], `attempt ${attempt}`);
    t.match(rig.timeout(), [{ kind: 'send', link: 1, message: { type: 'open', request: 1 } }]);
  }
  rig.clock.advance(200);
  t.match(next.receive(absent), [{ kind: 'sessionFailed', request: 1, code: 'connector_absent' }], 'then it is taken to be absent');
  t.end();
});

t.test('so is one after the relay came back; not when the agent has only just started', (t) => {
  const rig = readyAgent();
  const absent = { type: 'openFailed', request: 1, code: 'connector_absent', reason: 'no connector' } as const;
  rig.step((agent, now) => agent.openSession('web', now));
  t.match(rig.receive(absent), [{ kind: 'sessionFailed', request: 1 }]);
  rig.lose();
  rig.timeout();
  rig.register();
  rig.step((agent, now) => agent.openSession('web', now));
  t.strictSame(rig.receive({ ...absent, request: 2 }), []);
  t.end();
});

t.test('a connector moves like an agent, and serves both relays meanwhile', (t) => {
  const rig = connectorRig({ relays: TWO_RELAYS });
  rig.start();
  rig.register(RELAY_1, ['web']);
  rig.receive(incoming(SESSION), DRAIN);
  rig.timeout();
  t.strictSame(gist(rig.on(1).register(RELAY_2, ['web'])).slice(-2), ['event registered', 'event moved']);
  t.match(rig.on(1).receive(incoming(SESSION)), [{ kind: 'sessionIncoming', link: 1, session: SESSION, agent: AGENT }, { kind: 'send', link: 1, message: { type: 'accept' } }]);
  t.equal(rig.machine.sessionCount, 2);
  t.strictSame(gist(rig.receive(sessionClosed(SESSION))), ['sessionClosed', 'disconnect', 'event left']);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('stop closes every link', (t) => {
  const rig = agentWithSession();
  moveOver(rig);
  t.strictSame(rig.step((agent, now) => agent.stop(now)).filter(({ kind }) => kind !== 'event'), [
    { kind: 'disconnect', link: 0, code: 'no_error', reason: 'stopped' },
    { kind: 'disconnect', link: 1, code: 'no_error', reason: 'stopped' },
    { kind: 'sessionClosed', link: 0, session: SESSION, code: 'no_error' },
  ]);
  t.equal(rig.machine.pollTimeout(), undefined);
  t.equal(rig.machine.state, 'stopped');
  t.end();
});

/** A registered agent with one session, whose relay has begun to drain. */
function agentWithSession(relays = TWO_RELAYS) {
  const rig = agentRig({ relays, random: HALF });
  rig.start();
  rig.register();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(opened(1, SESSION, CONNECTOR), DRAIN);
  return rig;
}

/** The next relay is dialed and takes the client on. */
function moveOver(rig: ReturnType<typeof agentRig>) {
  rig.timeout();
  return rig.on(1).register(RELAY_2).filter((command) => command.kind !== 'event' || command.event.name !== 'observed_address');
}

/** Both relays answer pings. */
function answers(rig: ReturnType<typeof agentRig>): string[] {
  return [0, 1].flatMap((link) => gist(rig.step((agent, now) => agent.handleHeard(link, 1, now))).filter((kind) => !/rtt_measured/.test(kind)));
}
