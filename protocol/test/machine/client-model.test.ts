// Random sequences of inputs, in any order and with any relay message, against a model of what a
// driver relies on: one connection per link, never more links than relays, sends only while it stands,
// no spinning, bounded memory, and exactly one outcome per request and per session.

import fc from 'fast-check';
import t from 'tap';
import {
  AgentMachine, ConnectorMachine, FAILURE_CODES, type AgentCommand, type ConnectorCommand, type ControlMessage, type FailureCode,
  type SessionHandle,
} from '@ztna/protocol';
import { VirtualClock } from '@ztna/protocol/testing';
import { check, DriverModel } from './client-driver-model.js';
import { AGENT, CONNECTOR, drain, helloAck, incoming, linkInit, opened, registerAck, RELAY_1, RELAY_2, TWO_RELAYS } from './client-fixture.js';

const MAX_PENDING = 4;
const MAX_IN_FLIGHT = 2;
const MAX_SESSIONS = 3;
const RUNS = { numRuns: 1_000 };

/** `link`: which of the connections that stand. */
type Input = { readonly link?: number } & Happening;

type Happening =
  | { readonly kind: 'start' | 'established' | 'register' | 'heard' | 'deadline' | 'stop' }
  | { readonly kind: 'disconnected' | 'fault'; readonly code: FailureCode }
  | { readonly kind: 'message'; readonly message: ControlMessage }
  | { readonly kind: 'elapse'; readonly ms: number }
  | { readonly kind: 'openSession'; readonly service: string }
  /** `answer`: `opened`, to the open that was sent last. */
  | { readonly kind: 'answer' | 'closeSession'; readonly session: SessionHandle };

t.test('an agent keeps its promises under any sequence of inputs', (t) => {
  fc.assert(fc.property(inputs('agent'), fc.boolean(), fc.infiniteStream(draw()), (sequence, failFast, draws) => {
    const clock = new VirtualClock();
    const machine = new AgentMachine({
      ...linkInit(clock, { relays: TWO_RELAYS, random: () => draws.next().value as number }),
      failFast,
      limits: { maxPendingOpens: MAX_PENDING, maxOpensInFlight: MAX_IN_FLIGHT },
    });
    const model = new DriverModel();
    for (const input of sequence) {
      applyInput(machine, model, clock, input);
      if (input.kind === 'openSession') model.ask(machine.openSession(input.service, clock.now));
      closeSession(machine, model, clock, input);
      model.perform(drain(machine));
      check(machine.pendingCount <= MAX_PENDING, 'pending requests are bounded');
      check(machine.pendingCount === model.unanswered, 'every request is pending or answered');
      check(machine.sessionCount === model.live, 'the live sessions are those reported');
      check(machine.linkCount <= TWO_RELAYS.length, 'never more links than relays');
    }
    machine.stop(clock.now);
    model.perform(drain(machine));
    check(model.unanswered === 0 && model.live === 0, 'stop leaves nothing open');
    check(machine.pollTimeout() === undefined, 'a stopped machine waits for nothing');
  }), RUNS);
  t.end();
});

t.test('a connector keeps its promises under any sequence of inputs', (t) => {
  fc.assert(fc.property(inputs('connector'), fc.infiniteStream(draw()), (sequence, draws) => {
    const clock = new VirtualClock();
    const machine = new ConnectorMachine({
      ...linkInit(clock, { relays: TWO_RELAYS, random: () => draws.next().value as number }),
      services: ['web'],
      limits: { maxSessions: MAX_SESSIONS },
    });
    const model = new DriverModel();
    for (const input of sequence) {
      applyInput(machine, model, clock, input);
      closeSession(machine, model, clock, input);
      model.perform(drain(machine));
      check(machine.sessionCount <= MAX_SESSIONS, 'sessions are bounded');
      check(machine.sessionCount === model.live, 'the live sessions are those reported');
      check(machine.linkCount <= TWO_RELAYS.length, 'never more links than relays');
    }
    machine.stop(clock.now);
    model.perform(drain(machine));
    check(model.live === 0, 'stop leaves no session');
  }), RUNS);
  t.end();
});

t.test('the sequences reach sessions and their ends, or the properties above would show nothing', (t) => {
  const samples = 300;
  const counts = { agent: new Map<string, number>(), connector: new Map<string, number>() };
  const moves = { agent: 0, connector: 0 };
  for (const role of ['agent', 'connector'] as const) {
    for (const sequence of fc.sample(inputs(role), { seed: 7, numRuns: samples })) {
      const clock = new VirtualClock();
      const init = linkInit(clock, { relays: TWO_RELAYS });
      const model = new DriverModel();
      const machine = role === 'agent' ? new AgentMachine(init) : new ConnectorMachine({ ...init, services: ['web'] });
      for (const input of sequence) {
        applyInput(machine, model, clock, input);
        if (input.kind === 'openSession' && machine instanceof AgentMachine) model.ask(machine.openSession(input.service, clock.now));
        closeSession(machine, model, clock, input);
        const commands = drain<AgentCommand | ConnectorCommand>(machine);
        model.perform(commands);
        for (const { kind } of commands) counts[role].set(kind, (counts[role].get(kind) ?? 0) + 1);
        moves[role] += commands.filter((command) => command.kind === 'event' && command.event.name === 'moved').length;
      }
    }
  }
  const rare = (role: keyof typeof counts, kinds: string[]) => kinds.filter((kind) => (counts[role].get(kind) ?? 0) < samples / 3);
  t.strictSame(rare('agent', ['dial', 'disconnect', 'send', 'event', 'sessionOpened', 'sessionFailed', 'sessionClosed', 'relayDraining']), []);
  for (const role of ['agent', 'connector'] as const) t.ok(moves[role] >= samples / 10, `the ${role} moves to another relay ${moves[role]} times`);
  t.strictSame(rare('connector', ['dial', 'disconnect', 'send', 'event', 'sessionIncoming', 'sessionClosed']), []);
  t.end();
});

function closeSession(machine: AgentMachine | ConnectorMachine, model: DriverModel, clock: VirtualClock, input: Input): void {
  if (input.kind !== 'closeSession') return;
  const link = model.pick(input.link ?? 0);
  if (machine.closeSession(link, input.session, clock.now)) model.end(link, input.session);
}

function applyInput(machine: AgentMachine | ConnectorMachine, model: DriverModel, clock: VirtualClock, input: Input): void {
  const link = model.pick(input.link ?? 0);
  switch (input.kind) {
    case 'start':
      return machine.start(clock.now);
    case 'stop':
      return machine.stop(clock.now);
    case 'established':
      model.established(link);
      return machine.handleEstablished(link, clock.now);
    case 'register': {
      // A relay that behaves, so that sequences get past the registration.
      const relay = model.registering(link);
      if (relay === undefined) return undefined;
      machine.handleControl(link, helloAck({ relay: relay === 0 ? RELAY_1 : RELAY_2 }), clock.now);
      return machine.handleControl(link, registerAck(['web']), clock.now);
    }
    case 'disconnected':
      model.disconnected(link);
      return machine.handleDisconnected(link, { code: input.code, reason: 'test' }, clock.now);
    case 'fault':
      return machine.handleControlFault(link, { code: input.code, reason: 'test' }, clock.now);
    case 'message':
      return machine.handleControl(link, input.message, clock.now);
    case 'elapse':
      clock.advance(input.ms);
      return handleTimeout(machine, clock.now);
    case 'deadline':
      clock.advanceTo(Math.max(machine.pollTimeout() ?? 0, clock.now));
      return handleTimeout(machine, clock.now);
    case 'heard':
      return machine.handleHeard(link, 1, clock.now);
    case 'answer':
      return machine.handleControl(link, opened(model.lastOpen, input.session), clock.now);
    case 'openSession':
    case 'closeSession':
      return undefined;
  }
}

function handleTimeout(machine: AgentMachine | ConnectorMachine, now: number): void {
  machine.handleTimeout(now);
  check((machine.pollTimeout() ?? Infinity) > now, 'the next deadline is in the future');
}

function inputs(role: 'agent' | 'connector'): fc.Arbitrary<Input[]> {
  const input: fc.Arbitrary<Input> = fc.oneof(
    { weight: 6, arbitrary: fc.constant<Input>({ kind: 'start' }) },
    { weight: 14, arbitrary: fc.constant<Input>({ kind: 'heard' }) },
    { weight: 14, arbitrary: fc.constant<Input>({ kind: 'established' }) },
    { weight: 14, arbitrary: fc.constant<Input>({ kind: 'register' }) },
    { weight: 5, arbitrary: fc.constant<Input>({ kind: 'deadline' }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('elapse' as const), ms: fc.integer({ min: 0, max: 500 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('elapse' as const), ms: fc.integer({ min: 0, max: 20_000 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('disconnected' as const), code: code() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fault' as const), code: code() }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('openSession' as const), service: fc.constantFrom('web', 'dns', 'Not A Name') }) },
    { weight: role === 'agent' ? 8 : 0, arbitrary: fc.record({ kind: fc.constant('answer' as const), session: session() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('closeSession' as const), session: session() }) },
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('message' as const), message: role === 'agent' ? agentMessage() : connectorMessage() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('message' as const), message: linkMessage() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('message' as const), message: misplacedMessage() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('message' as const), message: drainMessage() }) },
  );
  const registered: Input[] = [{ kind: 'start' }, { kind: 'established' }, { kind: 'register' }];
  const moving: Input[] = [
    { kind: 'message', message: { type: 'drain', deadlineMs: 30_000 } }, { kind: 'deadline' }, { kind: 'established', link: 1 }, { kind: 'register', link: 1 },
  ];
  const begun: Input = role === 'agent' ? { kind: 'answer', session: { slot: 0, tag: 0 } } : { kind: 'message', message: incoming({ slot: 0, tag: 0 }) };
  const prefix = fc.constantFrom<Input[]>([], registered, [...registered, { kind: 'openSession', service: 'web' }, begun, ...moving]);
  const suffix = fc.constantFrom<Input[]>([], [{ kind: 'stop' }, { kind: 'start' }, { kind: 'openSession', service: 'web' }]);
  // Short ones first, because a failure shrinks into them.
  const middle = fc.oneof(
    { withCrossShrink: true },
    fc.array(input, { maxLength: 20, size: 'max' }),
    { weight: 3, arbitrary: fc.array(input, { minLength: 40, maxLength: 120, size: 'max' }) },
  );
  const placed = fc.tuple(middle, fc.infiniteStream(fc.nat(1))).map(([sequence, links]) =>
    sequence.map((one): Input => ({ ...one, link: links.next().value as number })));
  return fc.tuple(prefix, placed, suffix).map((parts) => parts.flat());
}

/** Few handles, so that they collide. */
function session(): fc.Arbitrary<SessionHandle> {
  return fc.record({ slot: fc.nat(2), tag: fc.nat(1) });
}

function agentMessage(): fc.Arbitrary<ControlMessage> {
  const request = fc.integer({ min: 1, max: 6 });
  return fc.oneof<fc.Arbitrary<ControlMessage>[]>(
    fc.record({ type: fc.constant('opened' as const), request, session: session(), connector: fc.constantFrom(CONNECTOR, CONNECTOR, CONNECTOR, AGENT) }),
    fc.record({ type: fc.constant('openFailed' as const), request, code: code(), reason: fc.string() }),
    closed(),
  );
}

function connectorMessage(): fc.Arbitrary<ControlMessage> {
  return fc.oneof<fc.Arbitrary<ControlMessage>[]>(
    fc.record({ type: fc.constant('incoming' as const), session: session(), agent: fc.constantFrom(AGENT, AGENT, CONNECTOR), service: fc.constantFrom('web', 'web', 'dns') }),
    closed(),
  );
}

function closed(): fc.Arbitrary<ControlMessage> {
  return fc.record({ type: fc.constant('sessionClosed' as const), session: session(), code: code() });
}

/** What a relay may say at any time. */
function linkMessage(): fc.Arbitrary<ControlMessage> {
  const timestamp = fc.nat();
  return fc.oneof<fc.Arbitrary<ControlMessage>[]>(
    fc.record({ type: fc.constant('observedAddress' as const), observed: fc.record({ host: fc.ipV6(), port: fc.nat(65_535) }) }),
    drainMessage(),
    fc.record({ type: fc.constant('ping' as const), timestamp }),
    fc.record({ type: fc.constant('pong' as const), timestamp }),
    fc.record({ type: fc.constant('error' as const), code: code(), reason: fc.string(), about: fc.string() }),
  );
}

function drainMessage(): fc.Arbitrary<ControlMessage> {
  return fc.record({ type: fc.constant('drain' as const), deadlineMs: fc.nat(60_000) });
}

/** What is wrong in most states, or in all. */
function misplacedMessage(): fc.Arbitrary<ControlMessage> {
  return fc.oneof<fc.Arbitrary<ControlMessage>[]>(
    fc.constantFrom(helloAck(), helloAck({ relay: RELAY_2 }), helloAck({ version: 0 }), registerAck()),
    fc.record({ type: fc.constant('registerNack' as const), code: code(), reason: fc.string() }),
    agentMessage(),
    connectorMessage(),
    fc.record({ type: fc.constantFrom('accept' as const, 'closeSession' as const), session: session() }),
  );
}

function code(): fc.Arbitrary<FailureCode> {
  return fc.constantFrom(...(Object.keys(FAILURE_CODES) as FailureCode[]));
}

function draw(): fc.Arbitrary<number> {
  return fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
}
