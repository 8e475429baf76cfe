// A relay machine under a virtual clock with a token verifier that believes what the token says, so
// that a test reads as inputs and exact commands. Tags are 0xa0000001, 0xa0000002, … in order of
// allocation: an open takes one for the agent's end, then one per connector asked.

import {
  ConnectionRateTable,
  DEFAULT_RELAY_LIMITS,
  HEADER_BYTES,
  parsePolicy,
  RelayMachine,
  writeHeader,
  type ControlMessage,
  type ControlMessageOf,
  type ConnectionRates,
  type FailureCode,
  type Policy,
  type Rate,
  type RelayCommand,
  type RelayEvent,
  type RelayLimits,
  type RelayPeer,
  type Role,
  type SessionHandle,
} from '@ztna/protocol';

export const TRUST_DOMAIN = 'example.test';
export const OBSERVED = { host: '192.0.2.1', port: 4000 };
export const EPOCH_MS = 1_700_000_000_000;
const FIRST_TAG = 0xa000_0001;

export const uri = (role: Role, name: string): string => `spiffe://${TRUST_DOMAIN}/${role}/${name}`;

export const policyOf = (document: unknown): Policy => {
  const parsed = parsePolicy(document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  return parsed.policy;
};

/** alice may open web and ssh, bob web; `db` is a known service nobody may open. */
export const POLICY = policyOf({
  rules: [
    { allow: ['alice', 'bob'], services: ['web'] },
    { allow: ['alice'], services: ['ssh'] },
    { allow: [], services: ['db'] },
  ],
});

type Token = { services: readonly string[] } | { code: FailureCode; reason: string };

/** What the fixture's verifier turns into a verdict. */
export const token = (content: Token): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(content));

export const send = (conn: number, message: ControlMessage): RelayCommand => ({ kind: 'send', conn, message });
export const close = (conn: number, code: FailureCode, reason: string): RelayCommand => ({
  kind: 'close',
  conn,
  code,
  reason,
});

export const peer = (role: Role, name: string, trustDomain = TRUST_DOMAIN): RelayPeer => ({
  identity: { trustDomain, role, name },
  certificateServices: role === 'connector' ? ['web', 'ssh', 'db'] : [],
  fingerprint: new Uint8Array(32).fill(name.length),
  serial: name,
  observed: OBSERVED,
});

export interface OpenSession {
  readonly agentEnd: SessionHandle;
  readonly connectorEnd: SessionHandle;
}

/** What these tests send is never too much, but for those about rates. */
const AMPLE: Rate = { perSecond: 1e9, burst: 1e9 };
const AMPLE_RATES: ConnectionRates = { registrations: AMPLE, opens: AMPLE, controlMessages: AMPLE, datagrams: AMPLE, bytes: AMPLE };

export class RelayFixture {
  /** What the driver says of its queues. */
  isStrained = false;
  readonly machine: RelayMachine;
  /** The machine's own: what is written here holds for its next decision. */
  readonly limits: { -readonly [Key in keyof RelayLimits]: RelayLimits[Key] };
  /** What the verifier was given, in order. */
  readonly verified: unknown[] = [];
  now = 0;
  #tag = FIRST_TAG;
  #request = 0;

  constructor({ limits = {}, rates = {}, policy = POLICY }: { limits?: Partial<RelayLimits>; rates?: Partial<ConnectionRates>; policy?: Policy } = {}) {
    this.limits = { ...DEFAULT_RELAY_LIMITS, ...limits };
    this.machine = new RelayMachine({
      identity: { trustDomain: TRUST_DOMAIN, role: 'relay', name: 'relay-1' },
      software: 'relay/1.0',
      policy,
      verifyToken: (bytes, context) => {
        this.verified.push(context);
        const content = JSON.parse(new TextDecoder().decode(bytes)) as Token;
        if ('code' in content) return { ok: false, ...content };
        return { ok: true, keyId: 'key-1', services: content.services };
      },
      randomU32: () => this.#tag++,
      wallClock: () => EPOCH_MS + this.now,
      limits: this.limits,
      rates: new ConnectionRateTable({ ...AMPLE_RATES, ...rates }),
      isStrained: () => this.isStrained,
    });
  }

  /** Every command since the last call. */
  take(): RelayCommand[] {
    const commands: RelayCommand[] = [];
    for (let command; (command = this.machine.nextCommand()); ) commands.push(command);
    return commands;
  }

  connect(conn: number, role: Role, name: string): RelayCommand[] {
    this.machine.handleConnected(conn, peer(role, name), this.now);
    return this.take();
  }

  disconnect(conn: number): RelayCommand[] {
    this.machine.handleDisconnected(conn, this.now);
    return this.take();
  }

  say(conn: number, message: ControlMessage): RelayCommand[] {
    this.machine.handleControl(conn, message, this.now);
    return this.take();
  }

  hello(conn: number, role: Role): RelayCommand[] {
    return this.say(conn, { type: 'hello', versions: [1], software: 'test/1.0', role });
  }

  register(conn: number, content: Token): RelayCommand[] {
    return this.say(conn, { type: 'register', token: token(content) });
  }

  open(conn: number, service: string, request = ++this.#request): RelayCommand[] {
    return this.say(conn, { type: 'open', request, service });
  }

  /** Advances the clock and fires what is due. */
  advance(ms: number): RelayCommand[] {
    this.now += ms;
    this.machine.handleTimeout(this.now);
    return this.take();
  }

  joinAgent(conn: number, name: string): void {
    this.connect(conn, 'agent', name);
    this.hello(conn, 'agent');
    this.register(conn, { services: [] });
  }

  joinConnector(conn: number, name: string, services: readonly string[]): void {
    this.connect(conn, 'connector', name);
    this.hello(conn, 'connector');
    this.register(conn, { services });
  }

  /** Opens a session and has whichever connector is asked accept it. */
  session(agent: number, service: string): OpenSession {
    const { conn, message } = incomingOf(this.open(agent, service));
    const [opened] = messages(this.say(conn, { type: 'accept', session: message.session }), agent);
    if (opened?.type !== 'opened') throw new Error(`not opened: ${JSON.stringify(opened)}`);
    return { agentEnd: opened.session, connectorEnd: message.session };
  }
}

/** The messages of `commands` for one connection. */
export const messages = (commands: readonly RelayCommand[], conn: number): ControlMessage[] =>
  commands.flatMap((command) => (command.kind === 'send' && command.conn === conn ? [command.message] : []));

export const events = (commands: readonly RelayCommand[]): RelayEvent[] =>
  commands.flatMap((command) => (command.kind === 'event' ? [command.event] : []));

/** `name code` of each event, code `-` where it has none. */
export const eventCodes = (commands: readonly RelayCommand[]): string[] =>
  events(commands).map((event) => `${event.name} ${'code' in event ? event.code : '-'}`);

/** The one `incoming` among the commands, and for whom. */
export const incomingOf = (
  commands: readonly RelayCommand[],
): { conn: number; message: ControlMessageOf<'incoming'> } => {
  const found = commands.flatMap((command) =>
    command.kind === 'send' && command.message.type === 'incoming'
      ? [{ conn: command.conn, message: command.message }]
      : [],
  );
  if (found.length !== 1) throw new Error(`${found.length} incoming messages: ${JSON.stringify(commands)}`);
  return found[0]!;
};

/** A datagram of `type` for a session end, with a payload. */
export const datagram = (handle: SessionHandle, type: 0 | 1 | 2 = 0, payload = [1, 2, 3]): Uint8Array => {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  writeHeader(bytes, type, handle.slot, handle.tag);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
};
