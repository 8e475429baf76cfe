// What the client machines' tests share: a machine on a virtual clock, and the relay's side of the
// conversation as canned messages. The scripts stay in the tests.

import {
  AgentMachine,
  ConnectorMachine,
  Link,
  type AgentCommand,
  type AgentInit,
  type ClientEvent,
  type ConnectorCommand,
  type ConnectorInit,
  type ControlMessage,
  type FailureCode,
  type LinkCommand,
  type LinkId,
  type LinkInit,
  type SessionHandle,
} from '@ztna/protocol';
import { VirtualClock } from '@ztna/protocol/testing';

export const TRUST_DOMAIN = 'example.test';
export const RELAY_1 = `spiffe://${TRUST_DOMAIN}/relay/relay-1`;
export const RELAY_2 = `spiffe://${TRUST_DOMAIN}/relay/relay-2`;
export const CONNECTOR = `spiffe://${TRUST_DOMAIN}/connector/connector-1`;
export const AGENT = `spiffe://${TRUST_DOMAIN}/agent/alice`;
export const TOKEN = Uint8Array.of(1, 2, 3);
/** Half of every full-jitter ceiling: the first delay is 125 ms, the second 250 ms. */
export const HALF = () => 0.5;

/** Anything with the machine contract. */
export interface Driven<C> {
  start(now: number): void;
  pollTimeout(): number | undefined;
  handleTimeout(now: number): void;
  nextCommand(): C | undefined;
}

/** What can happen on one link. */
type LinkInputs = Pick<Link, 'handleEstablished' | 'handleControl' | 'handleDisconnected'>;

type Client = AgentMachine | ConnectorMachine;

const inputsOf = (machine: Link | Client, link: LinkId): LinkInputs =>
  machine instanceof Link
    ? machine
    : {
        handleEstablished: (now) => machine.handleEstablished(link, now),
        handleControl: (message, now) => machine.handleControl(link, message, now),
        handleDisconnected: (how, now) => machine.handleDisconnected(link, how, now),
      };

/** A machine under a virtual clock: each step is one input, and gives the commands it caused. */
export class Rig<M extends (Link | Client) & Driven<C>, C> {
  readonly machine: M;
  readonly clock: VirtualClock;
  readonly #link: LinkInputs;

  /** @param link the one that inputs are about */
  constructor(machine: M, clock: VirtualClock, link: LinkId = 0) {
    this.machine = machine;
    this.clock = clock;
    this.#link = inputsOf(machine, link);
  }

  /** The same machine, with inputs about another of its links. */
  on(link: LinkId): Rig<M, C> {
    return new Rig(this.machine, this.clock, link);
  }

  /** One input at the current time. */
  step(input: (machine: M, now: number) => unknown): C[] {
    input(this.machine, this.clock.now);
    return drain(this.machine);
  }

  start = (): C[] => this.step((machine, now) => machine.start(now));
  establish = (): C[] => this.step((_, now) => this.#link.handleEstablished(now));
  lose = (code: FailureCode = 'connection_lost', reason = 'test'): C[] =>
    this.step((_, now) => this.#link.handleDisconnected({ code, reason }, now));

  /** The relay says these, one after the other. */
  receive(...messages: ControlMessage[]): C[] {
    return messages.flatMap((message) => this.step((_, now) => this.#link.handleControl(message, now)));
  }

  /** Time passes up to the machine's next deadline, which is handled. */
  timeout(): C[] {
    const at = this.machine.pollTimeout();
    if (at === undefined) throw new Error('no deadline is set');
    this.clock.advanceTo(Math.max(at, this.clock.now));
    return this.step((machine, now) => machine.handleTimeout(now));
  }

  /** From `dialing` to `ready`. */
  register(relay = RELAY_1, services: string[] = []): C[] {
    return [...this.establish(), ...this.receive(helloAck({ relay }), registerAck(services))];
  }
}

export const drain = <C>(machine: { nextCommand(): C | undefined }): C[] => {
  const commands: C[] = [];
  for (let command; (command = machine.nextCommand()) !== undefined; ) commands.push(command);
  return commands;
};

export const linkInit = (clock: VirtualClock, init: Partial<LinkInit> = {}): LinkInit => ({
  role: 'agent',
  software: 'test/1',
  relays: [{ name: 'relay-1', trustDomain: TRUST_DOMAIN }],
  mintToken: () => TOKEN,
  random: HALF,
  wallClock: clock.wallClock,
  ...init,
});

export const TWO_RELAYS = ['relay-1', 'relay-2'].map((name) => ({ name, trustDomain: TRUST_DOMAIN }));

export const linkRig = (init: Partial<LinkInit> = {}) => {
  const clock = new VirtualClock();
  return new Rig<Link, LinkCommand>(new Link(linkInit(clock, init)), clock);
};

export const agentRig = (init: Partial<AgentInit> = {}) => {
  const clock = new VirtualClock();
  return new Rig<AgentMachine, AgentCommand>(new AgentMachine({ ...linkInit(clock), ...init }), clock);
};

export const connectorRig = (init: Partial<ConnectorInit> = {}) => {
  const clock = new VirtualClock();
  return new Rig<ConnectorMachine, ConnectorCommand>(new ConnectorMachine({ ...linkInit(clock), services: ['web'], ...init }), clock);
};

/** An agent that is registered, with everything on the way there already drained. */
export const readyAgent = (init: Partial<AgentInit> = {}) => {
  const rig = agentRig(init);
  rig.start();
  rig.register();
  return rig;
};

export const readyConnector = (init: Partial<ConnectorInit> = {}) => {
  const rig = connectorRig(init);
  rig.start();
  rig.register(RELAY_1, ['web']);
  return rig;
};

type MessageOf<T extends ControlMessage['type']> = Extract<ControlMessage, { type: T }>;

export const OBSERVED = { host: '192.0.2.7', port: 50_000 };

export const helloAck = (fields: Partial<MessageOf<'helloAck'>> = {}): MessageOf<'helloAck'> => ({
  type: 'helloAck',
  version: 1,
  software: 'relay/1',
  relay: RELAY_1,
  observed: OBSERVED,
  limits: { maxServices: 64, maxSessions: 1024, maxControlBytes: 65_536, idleTimeoutMs: 30_000 },
  ...fields,
});

export const registerAck = (services: string[] = []): ControlMessage => ({ type: 'registerAck', services });

export const registerNack = (code: MessageOf<'registerNack'>['code'], reason = 'because'): ControlMessage => ({
  type: 'registerNack',
  code,
  reason,
});

export const opened = (request: number, session: SessionHandle, connector = CONNECTOR): ControlMessage => ({
  type: 'opened',
  request,
  session,
  connector,
});

export const incoming = (session: SessionHandle, service = 'web', agent = AGENT): ControlMessage => ({
  type: 'incoming',
  session,
  agent,
  service,
});

export const sessionClosed = (session: SessionHandle): ControlMessage => ({
  type: 'sessionClosed',
  session,
  code: 'session_ended',
});

export const HELLO = { kind: 'send', link: 0, message: { type: 'hello', versions: [1], software: 'test/1', role: 'agent' } };
export const REGISTER = { kind: 'send', link: 0, message: { type: 'register', token: TOKEN } };
export const DIAL = { kind: 'dial', link: 0, relay: 0 };
export const OBSERVED_EVENT = event({ level: 'debug', name: 'observed_address', relay: 'relay-1', observed: OBSERVED });

export const open = (request: number, service: string, link = 0) => ({ kind: 'send', link, message: { type: 'open', request, service } });

export function event(fields: ClientEvent) {
  return { kind: 'event', event: fields };
}

/** `kind`, or for events and sends the name of what they carry: enough where details are tested elsewhere. */
export const gist = (commands: readonly { readonly kind: string }[]): string[] =>
  commands.map((command) => {
    if ('message' in command) return `send ${(command.message as ControlMessage).type}`;
    if ('event' in command) return `event ${(command.event as ClientEvent).name}`;
    return command.kind;
  });
