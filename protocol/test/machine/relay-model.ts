// Random clients against the relay, watched from outside: a model that knows only what the clients
// were told predicts where every datagram may go. Handles are used by whoever comes along, so most of
// the traffic is hostile.

import fc from 'fast-check';
import {
  DATAGRAM_REPLY,
  failureMeaning,
  type ControlMessage,
  type Policy,
  type RelayCommand,
  type SessionHandle,
} from '@ztna/protocol';
import { datagram, policyOf, RelayFixture } from './relay-fixture.js';

const SERVICES = ['web', 'ssh', 'db'];
const CLIENTS = [
  { role: 'agent', name: 'alice' },
  { role: 'agent', name: 'alice' },
  { role: 'agent', name: 'bob' },
  { role: 'connector', name: 'c1' },
  { role: 'connector', name: 'c1' },
  { role: 'connector', name: 'c2' },
] as const;
const POLICIES: readonly Policy[] = [
  policyOf({ rules: [{ allow: ['alice', 'bob'], services: SERVICES }] }),
  policyOf({ rules: [{ allow: ['alice'], services: ['web', 'ssh'] }, { allow: ['bob'], services: ['web'] }] }),
  policyOf({ rules: [{ allow: ['bob'], services: ['ssh'] }] }),
];

const client = fc.nat(CLIENTS.length - 1);
const service = fc.constantFrom(...SERVICES);
/** Which of the handles seen so far, counted from the newest. */
const pick = fc.oneof(fc.constant(0), fc.nat(2), fc.nat(20));

/** `rightful`: by the connection that was given the handle. Otherwise by `by`, whoever that is. */
const use = { pick, by: client, rightful: fc.constantFrom(true, true, false) };

/** One step of some client, or of time. */
export const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('join' as const), client, services: fc.subarray(SERVICES) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('connect' as const), client }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('register' as const), client, services: fc.subarray(SERVICES) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('refusedToken' as const), client }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constant('open' as const), client, service }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constant('accept' as const), ...use }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('reject' as const), ...use }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('closeSession' as const), ...use }) },
  {
    weight: 20,
    arbitrary: fc.record({
      op: fc.constant('datagram' as const),
      ...use,
      type: fc.constantFrom(0, 0, 0, 1, 2),
      tagFlip: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('disconnect' as const), client }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('fault' as const), client, fatal: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('advance' as const), ms: fc.nat(6_000) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('policy' as const), index: fc.constantFrom(0, 0, 1, 2) }) },
);

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
type Use = Operation & { op: 'accept' | 'reject' | 'closeSession' | 'datagram' };

interface End {
  readonly conn: number;
  readonly handle: SessionHandle;
}

export class Model {
  readonly #relay = new RelayFixture({ policy: POLICIES[0]!, limits: { maxSessionsPerAgent: 6, maxSessions: 10 } });
  #policy = POLICIES[0]!;
  /** Connections the driver holds; the value tells whether the relay wants them closed. */
  readonly #connected = new Map<number, { closing: boolean }>();
  /** Every handle anybody was ever given, newest first. */
  readonly #seen: End[] = [];
  /** Open sessions as the clients know them: end → the other end. */
  readonly #peers = new Map<string, End>();
  /** Opens without an answer: `conn request`. */
  readonly #waiting = new Map<string, string>();
  #request = 0;
  forwarded = 0;

  constructor() {
    for (const client of [0, 2, 3, 5]) this.run({ op: 'join', client, services: SERVICES });
  }

  run(step: Operation): void {
    const relay = this.#relay;
    switch (step.op) {
      case 'join':
        if (this.#connected.get(step.client)?.closing === true) this.#disconnect(step.client);
        this.#connect(step.client);
        this.#observe(relay.hello(step.client, CLIENTS[step.client]!.role));
        return this.#observe(relay.register(step.client, { services: step.services }));
      case 'connect':
        return this.#connect(step.client);
      case 'register':
        return this.#observe(relay.register(step.client, { services: step.services }));
      case 'refusedToken':
        return this.#observe(relay.register(step.client, { code: 'token_expired', reason: 'late' }));
      case 'open':
        return this.#open(step.client, step.service);
      case 'accept':
      case 'reject':
      case 'closeSession':
        return this.#useHandle(step);
      case 'datagram':
        return this.#sendDatagram(step, step.type, step.tagFlip);
      case 'disconnect':
        return this.#disconnect(step.client);
      case 'fault':
        relay.machine.handleControlFault(
          step.client,
          { code: 'control_message_malformed', reason: 'garbled', fatal: step.fatal },
          relay.now,
        );
        return this.#observe(relay.take());
      case 'advance':
        return this.#observe(relay.advance(step.ms));
      case 'policy':
        this.#policy = POLICIES[step.index]!;
        relay.machine.setPolicy(this.#policy, relay.now);
        return this.#observe(relay.take());
    }
  }

  /** Everybody leaves: nothing may remain, and every open must have had its answer. */
  finish(): void {
    for (let conn = 0; conn < CLIENTS.length; conn += 1) this.#disconnect(conn);
    const { stats, counters } = { stats: this.#relay.machine.stats(), counters: this.#relay.machine.counters };
    const left = Object.entries(stats).filter(([, count]) => count !== 0);
    check(left.length === 0, `left behind: ${JSON.stringify(left)}`);
    check(this.#peers.size === 0, `sessions nobody was told about: ${[...this.#peers.keys()].join()}`);
    check(this.#waiting.size === 0, `opens without an answer: ${[...this.#waiting.keys()].join()}`);
    check(this.#relay.machine.pollTimeout() === undefined, 'a deadline is left');
    check(counters.forwarded === this.forwarded, 'forwarded is the driver\'s count');
  }

  #connect(conn: number): void {
    if (this.#connected.has(conn)) return;
    this.#connected.set(conn, { closing: false });
    const { role, name } = CLIENTS[conn]!;
    this.#observe(this.#relay.connect(conn, role, name));
  }

  #disconnect(conn: number): void {
    this.#connected.delete(conn);
    this.#forget(conn);
    this.#observe(this.#relay.disconnect(conn));
  }

  #open(conn: number, service: string): void {
    const connection = this.#connected.get(conn);
    const request = ++this.#request;
    if (connection?.closing === false) this.#waiting.set(`${conn} ${request}`, service);
    const commands = this.#relay.open(conn, service, request);
    this.#observe(commands);
    // A connector, or a client without hello, has no answer to expect.
    const isOpen = CLIENTS[conn]!.role === 'agent' && this.#connected.get(conn)?.closing === false;
    if (!isOpen) this.#waiting.delete(`${conn} ${request}`);
  }

  #useHandle(step: Use): void {
    const used = this.#choose(step);
    if (used === undefined) return;
    const { conn, handle: session } = used;
    const before = this.#peers.get(key(used));
    const message: ControlMessage =
      step.op === 'reject'
        ? { type: 'reject', session, code: 'connector_rejected', reason: '' }
        : { type: step.op as 'accept' | 'closeSession', session };
    const commands = this.#relay.say(conn, message);
    if (step.op === 'closeSession' && before !== undefined) {
      this.#peers.delete(key(used));
      const told = commands.some(
        (command) => command.kind === 'send' && command.conn === before.conn && isClosed(command.message, before.handle),
      );
      check(told, 'the other end is told of a close');
    }
    this.#observe(commands, step.op === 'accept' ? used : undefined);
  }

  #sendDatagram(step: Use, type: 0 | 1 | 2, tagFlip: number): void {
    const chosen = this.#choose(step);
    if (chosen === undefined) return;
    const handle = { slot: chosen.handle.slot, tag: chosen.handle.tag ^ tagFlip };
    const bytes = datagram({ slot: handle.slot, tag: handle.tag >>> 0 }, type);
    const { machine } = this.#relay;
    const to = machine.handleDatagram(chosen.conn, bytes, bytes.length, this.#relay.now);
    this.#observe(this.#relay.take());
    const peer = type === 0 && tagFlip === 0 ? this.#peers.get(key(chosen)) : undefined;
    if (peer === undefined) {
      check(to < 0, `a datagram of ${key(chosen)} went to ${to}`);
      check(to !== DATAGRAM_REPLY || type === 1, 'only a keepalive is sent back');
    } else {
      check(to === peer.conn, `a datagram of ${key(chosen)} went to ${to}, not ${peer.conn}`);
      check(Buffer.compare(bytes, datagram(peer.handle)) === 0, 'the peer knows the datagram by its own handle');
      machine.counters.countForwarded();
      this.forwarded += 1;
    }
    const { received, forwarded, consumed, dropped } = machine.counters.totals();
    const dropTotal = Object.values(dropped).reduce((sum, count) => sum + count, 0);
    check(received === forwarded + consumed + dropTotal, 'received = forwarded + consumed + dropped');
    // The first datagram for another's session is answered.
    this.#observe(this.#relay.take());
  }

  #choose({ pick, by, rightful }: Use): End | undefined {
    const end = this.#seen[pick % Math.max(1, this.#seen.length)];
    return end === undefined || rightful ? end : { conn: by, handle: end.handle };
  }

  /** What the clients learn. `accepted`: the connector end whose accept caused these commands. */
  #observe(commands: readonly RelayCommand[], accepted?: End): void {
    for (const command of commands) {
      if (command.kind === 'close') {
        check(this.#connected.get(command.conn)?.closing === false, 'a connection is closed once');
        this.#connected.set(command.conn, { closing: true });
        this.#forget(command.conn);
      } else if (command.kind === 'send') {
        check(this.#connected.get(command.conn)?.closing === false, 'nothing is said to a connection that is gone');
        this.#hear(command.conn, command.message, accepted);
      } else if (command.kind === 'event' && 'code' in command.event) {
        check(failureMeaning(command.event.code).length > 0, 'codes are of the closed set');
      }
    }
  }

  #hear(conn: number, message: ControlMessage, accepted: End | undefined): void {
    switch (message.type) {
      case 'incoming':
        check(CLIENTS[conn]!.role === 'connector', 'only connectors are asked');
        this.#seen.unshift({ conn, handle: message.session });
        return;
      case 'opened': {
        const end: End = { conn, handle: message.session };
        const service = this.#waiting.get(`${conn} ${message.request}`);
        check(service !== undefined && this.#waiting.delete(`${conn} ${message.request}`), 'one answer for one open');
        check(this.#policy.decide(CLIENTS[conn]!.name, service!) === 'allow', 'policy allows what is opened');
        check(accepted !== undefined, 'nothing opens without an accept');
        check(message.connector.endsWith(`/${CLIENTS[accepted!.conn]!.name}`), 'the connector named is the one');
        this.#peers.set(key(end), accepted!);
        this.#peers.set(key(accepted!), end);
        this.#seen.unshift(end);
        return;
      }
      case 'openFailed':
        check(this.#waiting.delete(`${conn} ${message.request}`), 'one answer for one open');
        return;
      case 'sessionClosed':
        this.#peers.delete(key({ conn, handle: message.session }));
        return;
      default:
        return;
    }
  }

  /** A connection is no longer there to hear of its sessions and opens. */
  #forget(conn: number): void {
    for (const end of this.#peers.keys()) if (end.startsWith(`${conn}:`)) this.#peers.delete(end);
    for (const open of this.#waiting.keys()) if (open.startsWith(`${conn} `)) this.#waiting.delete(open);
  }
}

function key({ conn, handle }: End): string {
  return `${conn}:${handle.slot}:${handle.tag}`;
}

function isClosed(message: ControlMessage, handle: SessionHandle): boolean {
  return message.type === 'sessionClosed' && message.session.slot === handle.slot && message.session.tag === handle.tag;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
