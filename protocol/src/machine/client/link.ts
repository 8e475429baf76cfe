// One client's connection to a relay: dial, register, keep alive, back off, next relay.
//
//   idle ─start─► dialing ─established─► registering ─registerAck─► ready
//                    ▲  └────────┬────────────┴───────────────────────┘ any failure
//                    └─ delay ─ waiting                  stop, from anywhere ─► stopped
//
// Owns what agents and connectors have in common; sessions are the machine's behind `LinkUser`.
// The relay is not trusted: it can end this connection, and nothing it says throws.

import { formatIdentity, type Identity } from '../../identity.js';
import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import { PROTOCOL_VERSION } from '../../wire/control-messages.js';
import type { ControlMessage, ControlMessageOf, ObservedAddress } from '../../wire/control-messages.js';
import { Backoff } from './backoff.js';
import { linkDownEvent, type ClientEvent, type LinkDownEvent } from './client-events.js';
import { DEFAULT_LINK_LIMITS, resolveLimits, type LinkLimits } from './client-limits.js';
import { CommandQueue, type Command } from './command-queue.js';
import { Keepalive } from './keepalive.js';
import { printable } from '../../wire/printable-text.js';
import { closeFailure, type LinkFailure } from './link-failure.js';
import { describeRelay, type Disconnection, type LinkCommand, type LinkFault, type LinkInit, type LinkState, type RelayTarget } from './link-types.js';
import { NO_USER, type LinkUser } from './link-user.js';

/** Commands that mean the current connection and no other. */
const CONNECTION_COMMANDS: ReadonlySet<string> = new Set(['dial', 'send', 'disconnect']);

/** @typeParam Extra further commands that share the link's queue, so that their order holds */
export class Link<Extra extends Command = never> {
  readonly #init: LinkInit;
  readonly #user: LinkUser;
  readonly #limits: LinkLimits;
  readonly #backoff: Backoff;
  readonly #commands = new CommandQueue<LinkCommand | Extra>();
  #state: LinkState = 'idle';
  /** Index of the relay in use, or of the next one to dial. */
  #relay = 0;
  /** Of the current state, `ready` excepted: that one has the keepalive's. */
  #deadline: number | undefined;
  #greeted = false;
  #readySince: number | undefined;
  #keepalive: Keepalive | undefined;
  #observed: ObservedAddress | undefined;
  #drainDeadline: number | undefined;
  #lastFailure: LinkFailure | undefined;

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: LinkInit, user: LinkUser = NO_USER) {
    if (init.relays.length === 0) throw new RangeError('relays is empty, but at least one relay is needed');
    this.#init = init;
    this.#user = user;
    this.#limits = resolveLimits(DEFAULT_LINK_LIMITS, init.limits);
    const { backoffBaseMs: baseMs, backoffCapMs: capMs } = this.#limits;
    this.#backoff = new Backoff({ random: init.random, baseMs, capMs });
  }

  get state(): LinkState {
    return this.#state;
  }

  /** The handshake is done: messages can be sent. */
  get connected(): boolean {
    return this.#state === 'registering' || this.#state === 'ready';
  }

  /** The relay in use, or the next one to dial. */
  get relay(): RelayTarget {
    return this.#init.relays[this.#relay]!;
  }

  /** Milliseconds; undefined until a ping of this connection was answered. */
  get rttMs(): number | undefined {
    return this.#keepalive?.rttMs;
  }

  /** This client's address as a relay last saw it. */
  get observed(): ObservedAddress | undefined {
    return this.#observed;
  }

  /** When the relay in use will close, on the clock of `now`; undefined while it doesn't drain. */
  get drainDeadline(): number | undefined {
    return this.#drainDeadline;
  }

  /** Why the link last went down; kept when it comes back. */
  get lastFailure(): LinkFailure | undefined {
    return this.#lastFailure;
  }

  /** Dials the first relay at once. Only the first call counts. */
  start(now: number): void {
    if (this.#state === 'idle') this.#dial(now);
  }

  /** Closes the connection, if any, for good. */
  stop(_now: number): void {
    if (this.#state === 'dialing' || this.connected) this.#disconnect('no_error', 'stopped');
    this.#leaveConnection('stopped', undefined);
  }

  handleEstablished(now: number): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'registering';
    this.#deadline = now + this.#limits.registerTimeoutMs;
    const { role, software, mintToken, wallClock } = this.#init;
    this.send({ type: 'hello', versions: [PROTOCOL_VERSION], software, role });
    this.send({ type: 'register', token: new Uint8Array(mintToken(this.#relayIdentity(), wallClock())) });
    this.#user.handleEstablished(now);
  }

  /** The connection ended, or could not be made, other than by a `disconnect` command. */
  handleDisconnected({ code, reason }: Disconnection, now: number): void {
    if (this.#state !== 'dialing' && !this.connected) return;
    this.#commands.drop(CONNECTION_COMMANDS);
    this.#goDown('disconnected', closeFailure(code, reason), now);
  }

  handleControl(message: ControlMessage, now: number): void {
    if (!this.connected) return;
    switch (message.type) {
      case 'helloAck':
        return this.#handleHelloAck(message, now);
      case 'registerAck':
        return this.#handleRegisterAck(message, now);
      case 'registerNack':
        return this.#handleRegisterNack(message, now);
      case 'observedAddress':
        return this.#observe(message.observed);
      case 'drain':
        return this.#handleDrain(message, now);
      case 'ping':
        return this.send({ type: 'pong', timestamp: message.timestamp });
      case 'pong':
        return this.#handlePong(message, now);
      case 'error':
        return this.#handleError(message);
      default:
        if (this.#state === 'ready' && this.#user.handleMessage(message, now)) return;
        return this.#violation('unexpected_message', `${message.type} in state ${this.#state}`, now);
    }
  }

  handleControlFault(fault: LinkFault, now: number): void {
    if (!this.connected) return;
    const { code, reason, about } = fault;
    this.#violation(code, about === undefined ? reason : `${reason} (${about})`, now);
  }

  /** When `handleTimeout` is due, on the clock of `now`. */
  pollTimeout(): number | undefined {
    return this.#keepalive?.pollTimeout() ?? this.#deadline;
  }

  /** Does what is due; early calls do nothing. Afterwards `pollTimeout` is later than `now`. */
  handleTimeout(now: number): void {
    if (this.#keepalive) return this.#handleKeepalive(this.#keepalive, now);
    if (this.#deadline === undefined || now < this.#deadline) return;
    if (this.#state === 'waiting') return this.#dial(now);
    const { dialTimeoutMs, registerTimeoutMs } = this.#limits;
    if (this.#state === 'dialing') return this.#giveUp('relay_unreachable', `no answer from ${describeRelay(this.relay)} within ${dialTimeoutMs} ms`, now);
    const missing = this.#greeted ? 'registerAck' : 'helloAck';
    this.#giveUp('handshake_timeout', `no ${missing} within ${registerTimeoutMs} ms`, now);
  }

  nextCommand(): LinkCommand | Extra | undefined {
    return this.#commands.next();
  }

  /** Queues a message; dropped unless connected. */
  send(message: ControlMessage): void {
    if (this.connected) this.#commands.push({ kind: 'send', message });
  }

  /** Queues a command of the user's. */
  emit(command: Extra): void {
    this.#commands.push(command);
  }

  emitEvent(event: ClientEvent): void {
    this.#commands.push({ kind: 'event', event });
  }

  /** Notes a message that is well formed but names nothing this side has. */
  ignore(level: 'debug' | 'warn', about: string, code: FailureCode): void {
    const reason = failureMeaning(code);
    this.emitEvent({ level, name: 'message_ignored', relay: this.relay.name, about, code, reason });
  }

  #handleHelloAck({ version, relay, observed }: ControlMessageOf<'helloAck'>, now: number): void {
    const expected = formatIdentity(this.#relayIdentity());
    if (this.#greeted) return this.#violation('unexpected_message', 'a second helloAck', now);
    if (version !== PROTOCOL_VERSION) {
      return this.#violation('version_unsupported', `version ${version}, but ${PROTOCOL_VERSION} was offered`, now);
    }
    if (relay !== expected) return this.#violation('protocol_error', `the relay is ${relay}, not ${expected}`, now);
    this.#greeted = true;
    this.#observe(observed);
  }

  #handleRegisterAck({ services }: ControlMessageOf<'registerAck'>, now: number): void {
    if (!this.#awaitsRegistration()) return this.#violation('unexpected_message', 'registerAck out of turn', now);
    this.#state = 'ready';
    this.#deadline = undefined;
    this.#readySince = now;
    this.#keepalive = new Keepalive(this.#limits, now);
    this.emitEvent({ level: 'info', name: 'registered', relay: this.relay.name, services });
    this.#user.handleReady(services, now);
  }

  /** Never permanent: clocks get set, and keyrings are reloaded live. */
  #handleRegisterNack({ code, reason }: ControlMessageOf<'registerNack'>, now: number): void {
    if (!this.#awaitsRegistration()) return this.#violation('unexpected_message', 'registerNack out of turn', now);
    this.#disconnect('no_error', 'registration refused');
    this.#goDown('refused', { code, reason: printable(reason), refusal: true }, now);
  }

  #awaitsRegistration(): boolean {
    return this.#state === 'registering' && this.#greeted;
  }

  #observe(observed: ObservedAddress): void {
    if (observed.host === this.#observed?.host && observed.port === this.#observed.port) return;
    this.#observed = { host: printable(observed.host), port: observed.port };
    this.emitEvent({ level: 'info', name: 'observed_address', relay: this.relay.name, observed: this.#observed });
  }

  /** Another relay takes over once this connection closes: `#goDown` moves on to the next in the list. */
  #handleDrain({ deadlineMs }: ControlMessageOf<'drain'>, now: number): void {
    this.#drainDeadline = now + deadlineMs;
    this.emitEvent({ level: 'info', name: 'draining', relay: this.relay.name, deadlineMs });
  }

  #handlePong({ timestamp }: ControlMessageOf<'pong'>, now: number): void {
    const rttMs = this.#keepalive?.handlePong(timestamp, now);
    if (rttMs === undefined) return this.ignore('warn', 'pong', 'unexpected_message');
    this.emitEvent({ level: 'debug', name: 'rtt_measured', relay: this.relay.name, rttMs });
  }

  #handleError({ code, reason, about }: ControlMessageOf<'error'>): void {
    const relay = this.relay.name;
    this.emitEvent({ level: 'warn', name: 'relay_error', relay, code, reason: printable(reason), about: printable(about) });
  }

  #handleKeepalive(keepalive: Keepalive, now: number): void {
    const due = keepalive.due(now);
    if (due === 'lost') return this.#giveUp('connection_lost', `no pong within ${this.#limits.pongTimeoutMs} ms`, now);
    if (due === undefined) return;
    const timestamp = this.#init.wallClock();
    this.send({ type: 'ping', timestamp });
    keepalive.handlePingSent(timestamp, now);
  }

  #relayIdentity(): Identity {
    const { name, trustDomain } = this.relay;
    return { trustDomain, role: 'relay', name };
  }

  #dial(now: number): void {
    this.#state = 'dialing';
    this.#deadline = now + this.#limits.dialTimeoutMs;
    this.#commands.push({ kind: 'dial', relay: this.#relay });
  }

  #disconnect(code: FailureCode, reason: string): void {
    this.#commands.push({ kind: 'disconnect', code, reason });
  }

  #giveUp(code: FailureCode, reason: string, now: number): void {
    this.#disconnect(code, reason);
    this.#goDown('disconnected', closeFailure(code, reason), now);
  }

  /** Fail closed: a relay that breaks one rule may break any. */
  #violation(code: FailureCode, reason: string, now: number): void {
    this.#disconnect('protocol_error', failureMeaning(code));
    this.#goDown('protocol_violation', closeFailure(code, reason), now);
  }

  #goDown(name: LinkDownEvent['name'], failure: LinkFailure, now: number): void {
    const { backoffResetMs, replacedBackoffMs } = this.#limits;
    if (this.#readySince !== undefined && now - this.#readySince >= backoffResetMs) this.#backoff.reset();
    const { code, reason } = failure;
    const retryInMs = this.#backoff.next() + (code === 'registration_replaced' ? replacedBackoffMs : 0);
    this.emitEvent(linkDownEvent(name, { relay: this.relay.name, code, reason, retryInMs }));
    this.#lastFailure = failure;
    this.#relay = (this.#relay + 1) % this.#init.relays.length;
    this.#leaveConnection('waiting', now + retryInMs);
    this.#user.handleDown(failure, now);
  }

  #leaveConnection(state: 'waiting' | 'stopped', deadline: number | undefined): void {
    this.#state = state;
    this.#deadline = deadline;
    this.#greeted = false;
    this.#readySince = undefined;
    this.#keepalive = undefined;
    this.#drainDeadline = undefined;
  }
}
