// A relay that holds a valid certificate and lies. It can end the connection and refuse service;
// it gets no session that was not asked for, no memory, and no exception.

import t from 'tap';
import { failureMeaning, type ControlMessage, type ControlType } from '@ztna/protocol';
import { AGENT, CONNECTOR, agentRig, event, gist, helloAck, incoming, OBSERVED, opened, readyAgent, readyConnector, registerAck, sessionClosed } from './client-fixture.js';

const SESSION = { slot: 3, tag: 4 };

t.test('opened for a request never made is ignored', (t) => {
  const rig = readyAgent();
  t.strictSame(rig.receive(opened(99, SESSION)), [ignored('opened')]);
  t.equal(rig.machine.sessionCount, 0);
  t.equal(rig.machine.state, 'ready');
  t.end();
});

t.test('a second opened for one request is ignored', (t) => {
  const rig = readyAgent();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.receive(opened(1, SESSION));
  t.strictSame(rig.receive(opened(1, SESSION), opened(1, { slot: 9, tag: 9 })), [ignored('opened'), ignored('opened')]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

t.test('opened for a request that was not sent yet is ignored', (t) => {
  const rig = readyAgent({ limits: { maxOpensInFlight: 1 } });
  rig.step((agent, now) => agent.openSession('web', now));
  rig.step((agent, now) => agent.openSession('dns', now));
  t.strictSame(rig.receive(opened(2, SESSION)), [ignored('opened')]);
  t.equal(rig.machine.pendingCount, 2);
  t.end();
});

t.test('one handle for two requests fails the second and leaves the first alone', (t) => {
  const rig = readyAgent();
  rig.step((agent, now) => agent.openSession('web', now));
  rig.step((agent, now) => agent.openSession('dns', now));
  rig.receive(opened(1, SESSION));
  t.match(rig.receive(opened(2, SESSION)), [{ kind: 'sessionFailed', request: 2, code: 'protocol_error' }]);
  t.equal(rig.machine.sessionCount, 1);
  t.end();
});

const wrongConnectors = [
  ['spiffe://evil.test/connector/connector-1', 'trust_domain_mismatch'],
  ['spiffe://example.test/agent/connector-1', 'role_not_allowed'],
  ['', 'identity_invalid'],
] as const;
for (const [connector, code] of wrongConnectors) {
  t.test(`a session with ${connector || 'nobody'} is given back as ${code}`, (t) => {
    const rig = readyAgent();
    rig.step((agent, now) => agent.openSession('web', now));
    t.match(rig.receive(opened(1, SESSION, connector)), [
      { kind: 'send', link: 0, message: { type: 'closeSession', session: SESSION } },
      { kind: 'sessionFailed', request: 1, code },
    ]);
    t.equal(rig.machine.sessionCount, 0);
    t.end();
  });
}

t.test('openFailed and sessionClosed for something unknown are ignored', (t) => {
  const rig = readyAgent();
  t.strictSame(rig.receive({ type: 'openFailed', request: 7, code: 'policy_denied', reason: '' }), [ignored('openFailed')]);
  t.match(rig.receive(sessionClosed(SESSION)), [{ event: { level: 'debug', name: 'message_ignored', about: 'sessionClosed', code: 'session_unknown' } }]);
  t.equal(rig.machine.state, 'ready');
  t.end();
});

t.test('no event carries the tag of a session', (t) => {
  const tag = 0x7a67_7a67;
  const rig = readyAgent();
  const connector = readyConnector();
  const events = [
    ...rig.receive(opened(99, { slot: 1, tag }), sessionClosed({ slot: 1, tag })),
    ...connector.receive(incoming({ slot: 1, tag }, 'dns')).filter(({ kind }) => kind === 'event'),
  ];
  t.equal(events.length, 3);
  t.notMatch(JSON.stringify(events), String(tag));
  t.end();
});

/** Every message of the protocol, as a relay might say it. */
const MESSAGES: Record<ControlType, ControlMessage> = {
  hello: { type: 'hello', versions: [1], software: '', role: 'relay' },
  helloAck: helloAck(),
  register: { type: 'register', token: new Uint8Array() },
  registerAck: registerAck(),
  registerNack: { type: 'registerNack', code: 'token_expired', reason: '' },
  open: { type: 'open', request: 1, service: 'web' },
  opened: opened(1, SESSION, CONNECTOR),
  openFailed: { type: 'openFailed', request: 1, code: 'policy_denied', reason: '' },
  incoming: incoming(SESSION, 'web', AGENT),
  accept: { type: 'accept', session: SESSION },
  reject: { type: 'reject', session: SESSION, code: 'policy_denied', reason: '' },
  closeSession: { type: 'closeSession', session: SESSION },
  sessionMoved: { type: 'sessionMoved', session: SESSION, before: SESSION },
  sessionClosed: sessionClosed(SESSION),
  observedAddress: { type: 'observedAddress', observed: OBSERVED },
  drain: { type: 'drain', deadlineMs: 1 },
  ping: { type: 'ping', timestamp: 1 },
  pong: { type: 'pong', timestamp: 1 },
  error: { type: 'error', code: 'protocol_error', reason: '', about: 'hello' },
};
const ANY_TIME: ControlType[] = ['observedAddress', 'drain', 'ping', 'pong', 'error'];
const ALLOWED: Record<'agent' | 'connector' | 'registering', ControlType[]> = {
  agent: [...ANY_TIME, 'opened', 'openFailed', 'sessionClosed'],
  connector: [...ANY_TIME, 'incoming', 'sessionMoved', 'sessionClosed'],
  registering: [...ANY_TIME, 'helloAck'],
};
const rigs = {
  agent: () => readyAgent(),
  connector: () => readyConnector(),
  registering: () => {
    const rig = agentRig();
    rig.start();
    rig.establish();
    return rig;
  },
};
for (const [who, allowed] of Object.entries(ALLOWED) as [keyof typeof ALLOWED, ControlType[]][]) {
  t.test(`${who}: exactly ${allowed.join(', ')} keep the connection`, (t) => {
    const kept = (Object.keys(MESSAGES) as ControlType[]).filter((type) => {
      const rig = rigs[who]();
      const commands = rig.receive(MESSAGES[type]);
      if (rig.machine.state !== 'waiting') return true;
      t.strictSame(gist(commands), ['disconnect', 'event protocol_violation'], type);
      t.match(commands[0], { code: 'protocol_error' });
      t.match(commands[1], { event: { code: 'unexpected_message' } });
      return false;
    });
    t.strictSame(kept.sort(), [...allowed].sort());
    t.end();
  });
}

t.test('bytes that are no message, or of no known type, end the connection', (t) => {
  for (const code of ['control_message_malformed', 'control_message_too_large', 'unknown_message_type'] as const) {
    const rig = readyAgent();
    t.strictSame(rig.step((agent, now) => agent.handleControlFault(0, { code, reason: 'bad', about: 'x\u001b' }, now)), [
      { kind: 'disconnect', link: 0, code: 'protocol_error', reason: failureMeaning(code) },
      event({ level: 'warn', name: 'protocol_violation', relay: 'relay-1', code, reason: 'bad (x\ufffd)', retryInMs: 125 }),
    ]);
  }
  t.end();
});

t.test('messages and faults after the disconnect change nothing', (t) => {
  const rig = readyAgent();
  rig.receive(MESSAGES.hello);
  const dueAt = rig.machine.pollTimeout();
  t.strictSame(rig.receive(...Object.values(MESSAGES)), []);
  t.strictSame(rig.step((agent, now) => agent.handleControlFault(0, { code: 'control_message_malformed', reason: '' }, now)), []);
  t.strictSame(rig.lose(), []);
  t.strictSame(rig.establish(), []);
  t.equal(rig.machine.pollTimeout(), dueAt);
  t.end();
});

t.test('accepting and dropping at once makes the waits longer, not shorter', (t) => {
  const rig = readyAgent();
  const waits = [1, 2, 3, 4].map(() => {
    rig.lose();
    const lostAt = rig.clock.now;
    rig.timeout();
    const wait = rig.clock.now - lostAt;
    rig.register();
    return wait;
  });
  t.strictSame(waits, [125, 250, 500, 1_000]);
  t.end();
});

t.test('requests that are never answered leave a bounded trace', (t) => {
  const rig = readyAgent({ limits: { maxPendingOpens: 4, openTimeoutMs: 1_000 } });
  for (let n = 0; n < 9; n += 1) {
    rig.step((agent, now) => agent.openSession('web', now));
    rig.clock.advance(1_000);
    rig.step((agent, now) => agent.handleTimeout(now));
  }
  const answers = Array.from({ length: 9 }, (_, n) => gist(rig.receive(opened(n + 1, { slot: n, tag: 0 })))[0]);
  t.strictSame(answers, [...Array<string>(5).fill('event message_ignored'), ...Array<string>(4).fill('send closeSession')]);
  t.end();
});

function ignored(about: string) {
  return event({ level: 'warn', name: 'message_ignored', relay: 'relay-1', about, code: 'protocol_error', reason: failureMeaning('protocol_error') });
}
