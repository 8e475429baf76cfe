// One client's connection to a relay: dial, register, keep alive, back off, next relay.
//
//   idle ─start─► dialing ─established─► registering ─registerAck─► ready
//                    ▲  └────────┬────────────┴───────────────────────┘ any failure
//                    └─ delay ─ waiting                  stop, from anywhere ─► stopped
//
// Owns one connection at a time; that a relay which drains is left for another link is link-set.ts,
// sessions are the machine's behind `LinkUser`.
// The relay is not trusted: it can end this connection, and nothing it says throws.

import { formatIdentity } from '../../identity.js';
import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import { PROTOCOL_VERSION, type ControlMessage, type ControlMessageOf, type WorkerPlace } from '../../wire/control-messages.js';
import { Backoff, MIN_BACKOFF_MS } from './backoff.js';
import { leftEvent, linkDownEvent, type LinkDownEvent } from './client-events.js';
import { DEFAULT_LINK_LIMITS, resolveLimits, type LinkLimits } from './client-limits.js';
import type { Command, CommandQueue } from './command-queue.js';
import { Keepalive } from './keepalive.js';
import { printable } from '../../wire/printable-text.js';
import { closeFailure, helloAckFault, type LinkFailure } from './link-failure.js';
import { LinkReporter } from './link-reporter.js';
import { CONNECTION_COMMANDS, describeRelay, describeSilence, onlyLink, relayIdentity } from './link-types.js';
import type { Disconnection, LinkCommand, LinkFault, LinkId, LinkInit, LinkPlace, LinkState, RelayTarget } from './link-types.js';
import { NO_USER, type LinkUser } from './link-user.js';

/** Of the relay's idle timeout, at most, between two pings: a third is left for one that has to be sent again. */
const IDLE_PING_SHARE = 2 / 3;

/** @typeParam Extra further commands that share the link's queue, so that their order holds */
export class Link<Extra extends Command = never> {
  readonly report: LinkReporter;
  readonly #init: LinkInit;
  readonly #user: LinkUser;
  readonly #limits: LinkLimits;
  readonly #backoff: Backoff;
  readonly #place: LinkPlace<LinkCommand | Extra>;
  readonly #commands: CommandQueue<LinkCommand | Extra>;
  #state: LinkState = 'idle';
  /** When to dial instead of at `#deadline`, if somebody waits. */
  #awaitedDeadline: number | undefined;
  /** Index of the relay in use, or of the next one to dial. */
  #relay: number;
  #departing = false;
  /** Of the current state, `ready` excepted: that one has the keepalive's. */
  #deadline: number | undefined;
  #answered = false;
  #greeted = false;
  #readySince: number | undefined;
  #keepalive: Keepalive | undefined;
  /** As the relay announced it. */
  #idleTimeoutMs = Infinity;
  #drainDeadline: number | undefined;
  #lastFailure: LinkFailure | undefined;
  #worker: WorkerPlace | undefined;

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: LinkInit, user: LinkUser = NO_USER, place: LinkPlace<LinkCommand | Extra> = onlyLink(init)) {
    if (init.relays.length === 0) throw new RangeError('relays is empty, but at least one relay is needed');
    this.#init = init;
    this.#user = user;
    this.#place = place;
    this.#commands = place.commands;
    this.#relay = place.relay;
    this.#limits = resolveLimits(DEFAULT_LINK_LIMITS, init.limits);
    const { backoffBaseMs: baseMs, backoffCapMs, connectorBackoffCapMs } = this.#limits;
    const capMs = init.role === 'connector' ? connectorBackoffCapMs : backoffCapMs;
    this.#backoff = new Backoff({ random: init.random, baseMs, capMs });
    this.report = new LinkReporter((event) => this.#commands.push({ kind: 'event', event }), () => this.relay);
  }

  get id(): LinkId {
    return this.#place.id;
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

  get relayIndex(): number {
    return this.#relay;
  }

  /** The relay's worker at the other end, or that was there last; undefined at a relay without workers. */
  get worker(): WorkerPlace | undefined {
    return this.#worker;
  }

  /** Milliseconds; undefined until a ping of this connection was answered. */
  get rttMs(): number | undefined {
    return this.#keepalive?.rttMs;
  }

  /** When the relay in use will close, on the clock of `now`; undefined while it doesn't drain. */
  get drainDeadline(): number | undefined {
    return this.#drainDeadline;
  }

  /** Why the link last went down; kept when it comes back. */
  get lastFailure(): LinkFailure | undefined {
    return this.#lastFailure;
  }

  /** Dials its first relay, after `delayMs` if there is to be one. Only the first call counts. */
  start(now: number, delayMs = 0): void {
    if (this.#state !== 'idle') return;
    if (delayMs <= 0) return this.#dial(now);
    this.#state = 'waiting';
    this.#deadline = now + delayMs;
  }

  /** Another link takes over: this one stays up while it is of use, to its relay's deadline, and is never dialed again. */
  depart(): void {
    this.#departing = true;
  }

  /** Nothing is left on it: closes the connection in good order, as its last act. */
  leave(now: number): void {
    if (this.#departing && this.connected) this.#giveUp('no_error', 'its sessions are over', now);
  }

  /** Closes the connection, if any, for good. */
  stop(_now: number): void {
    if (this.#state === 'dialing' || this.connected) this.#disconnect('no_error', 'stopped');
    this.#leaveConnection('stopped', undefined);
  }

  handleAnswered(): void {
    this.#answered = true;
  }

  handleEstablished(now: number): void {
    if (this.#state !== 'dialing') return;
    this.#state = 'registering';
    this.#deadline = now + this.#limits.registerTimeoutMs;
    const { role, software, mintToken, wallClock } = this.#init;
    this.send({ type: 'hello', versions: [PROTOCOL_VERSION], software, role });
    const token = new Uint8Array(mintToken(relayIdentity(this.relay), wallClock()));
    this.send({ type: 'register', token, ...(this.#place.takesOver?.() === true ? { takeOver: true } : {}) });
    this.#user.handleEstablished(now);
  }

  /** The connection ended, or could not be made, other than by a `disconnect` command. */
  handleDisconnected({ code, reason }: Disconnection, now: number): void {
    if (this.#state !== 'dialing' && !this.connected) return;
    this.#commands.drop((command) => 'link' in command && command.link === this.id && CONNECTION_COMMANDS.has(command.kind));
    this.#goDown('disconnected', closeFailure(code, reason), now);
  }

  /**
   * After a `ping`: QUIC has taken a packet of the relay's, its acknowledgement or any other.
   *
   * @param quicRttMs whole milliseconds, as QUIC measures it
   */
  handleHeard(quicRttMs: number, now: number): void {
    const rttMs = this.#keepalive?.handleHeard(quicRttMs, now);
    if (rttMs !== undefined) this.report.rttMeasured(rttMs);
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
        return this.report.observe(message.observed);
      case 'drain':
        return this.#handleDrain(message, now);
      case 'ping':
        return this.send({ type: 'pong', timestamp: message.timestamp });
      case 'pong':
        return this.report.ignored('warn', 'pong', 'unexpected_message');
      case 'error':
        return this.report.relayError(message);
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
    if (!this.#keepalive) return this.#ownDeadline();
    return Math.min(this.#keepalive.pollTimeout(this.#user.isIdle()), this.#departureDeadline());
  }

  /** Does what is due; early calls do nothing. Afterwards `pollTimeout` is later than `now`. */
  handleTimeout(now: number): void {
    if (now >= this.#departureDeadline()) return this.#giveUp('draining', 'its deadline has passed', now);
    if (this.#keepalive) return this.#handleKeepalive(this.#keepalive, now);
    const deadline = this.#ownDeadline();
    if (deadline === undefined || now < deadline) return;
    if (this.#state === 'waiting') return this.#dial(now);
    const { dialTimeoutMs, registerTimeoutMs } = this.#limits;
    if (this.#state === 'dialing') return this.#giveUp('relay_unreachable', `${describeSilence(describeRelay(this.relay), this.#answered)} within ${dialTimeoutMs} ms`, now);
    this.#giveUp('handshake_timeout', `no ${this.#greeted ? 'registerAck' : 'helloAck'} within ${registerTimeoutMs} ms`, now);
  }

  nextCommand(): LinkCommand | Extra | undefined {
    return this.#commands.next();
  }

  /** Queues a message; dropped unless connected. */
  send(message: ControlMessage): void {
    if (this.connected) this.#commands.push({ kind: 'send', link: this.id, message });
  }

  /** Queues a command of the user's. */
  emit(command: Extra): void {
    this.#commands.push(command);
  }

  #handleHelloAck(message: ControlMessageOf<'helloAck'>, now: number): void {
    if (this.#greeted) return this.#violation('unexpected_message', 'a second helloAck', now);
    const fault = helloAckFault(message, formatIdentity(relayIdentity(this.relay)));
    if (fault) return this.#violation(fault.code, fault.reason, now);
    this.#greeted = true;
    this.#worker = message.worker;
    this.#idleTimeoutMs = message.limits.idleTimeoutMs;
    this.report.observe(message.observed);
  }

  #handleRegisterAck({ services }: ControlMessageOf<'registerAck'>, now: number): void {
    if (this.#state !== 'registering' || !this.#greeted) return this.#violation('unexpected_message', 'registerAck out of turn', now);
    this.#state = 'ready';
    this.#deadline = undefined;
    this.#readySince = now;
    const { pingIntervalMs, idlePingIntervalMs } = this.#limits;
    const idlePingMs = Math.max(pingIntervalMs, Math.min(idlePingIntervalMs, this.#idleTimeoutMs * IDLE_PING_SHARE));
    this.#keepalive = new Keepalive({ ...this.#limits, idlePingIntervalMs: idlePingMs }, now);
    this.report.event({ level: 'info', name: 'registered', relay: this.relay.name, ...this.#atWorker, services });
    this.#user.handleReady(services, now);
  }

  /** Never permanent: clocks get set, and keyrings are reloaded live. */
  #handleRegisterNack({ code, reason }: ControlMessageOf<'registerNack'>, now: number): void {
    if (this.#state !== 'registering' || !this.#greeted) return this.#violation('unexpected_message', 'registerNack out of turn', now);
    this.#disconnect('no_error', 'registration refused');
    this.#goDown('refused', { code, reason: printable(reason), refusal: true }, now);
  }

  #handleDrain({ deadlineMs }: ControlMessageOf<'drain'>, now: number): void {
    this.#drainDeadline = now + deadlineMs;
    this.report.event({ level: 'info', name: 'draining', relay: this.relay.name, deadlineMs });
    if (this.#state === 'ready') this.#user.handleDrain(now);
  }

  /** Of the state it is in. After a relay was lost, earlier while somebody waits; one that refuses us is not asked more often for that. */
  #ownDeadline(): number | undefined {
    return this.#awaitedDeadline !== undefined && this.#user.isAwaited() ? this.#awaitedDeadline : this.#deadline;
  }

  #departureDeadline(): number {
    return this.#departing && this.connected ? (this.#drainDeadline ?? Infinity) : Infinity;
  }

  #handleKeepalive(keepalive: Keepalive, now: number): void {
    const due = keepalive.due(this.#user.isIdle(), now);
    if (due === 'lost') return this.#giveUp('connection_lost', `no answer within ${this.#limits.pingTimeoutMs} ms`, now);
    if (due === undefined) return;
    this.#commands.push({ kind: 'ping', link: this.id, renewsId: keepalive.handlePingSent(now) });
  }

  #dial(now: number): void {
    this.#state = 'dialing';
    this.#awaitedDeadline = undefined;
    this.#answered = false;
    this.#deadline = now + this.#limits.dialTimeoutMs;
    this.#worker = undefined;
    const worker = this.#place.worker();
    this.#commands.push({ kind: 'dial', link: this.id, relay: this.#relay, ...(worker && { worker }) });
  }

  #disconnect(code: FailureCode, reason: string): void {
    this.#commands.push({ kind: 'disconnect', link: this.id, code, reason });
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
    if (this.#departing) return this.#depart(failure, now);
    const { backoffResetMs, replacedBackoffMs } = this.#limits;
    if (this.#readySince !== undefined && now - this.#readySince >= backoffResetMs) this.#backoff.reset();
    const { code, reason } = failure;
    const retryInMs = this.#backoff.next() + (code === 'registration_replaced' ? replacedBackoffMs : 0);
    this.report.event(linkDownEvent(name, { relay: this.relay.name, ...this.#atWorker, code, reason, retryInMs }));
    this.#lastFailure = failure;
    if (!this.#lostOneOfSeveral(failure)) this.#relay = this.#place.nextRelay(this.#relay);
    this.#leaveConnection('waiting', now + retryInMs);
    // Of the same draw, so that those who wait do not dial in step either.
    if (!failure.refusal && code !== 'registration_replaced') this.#awaitedDeadline = now + Math.min(retryInMs, MIN_BACKOFF_MS + (retryInMs % this.#limits.awaitedBackoffCapMs));
    this.#user.handleDown(failure, now);
  }

  /** A worker of the relay went, or the path to it: the others are up, and with them whoever is registered there. */
  #lostOneOfSeveral({ code, refusal }: LinkFailure): boolean {
    return this.#readySince !== undefined && this.#worker !== undefined && !refusal && code !== 'draining';
  }

  get #atWorker(): { readonly worker?: number } {
    return this.#worker ? { worker: this.#worker.index } : {};
  }

  #depart(failure: LinkFailure, now: number): void {
    const { code, reason } = failure;
    this.report.event(leftEvent({ relay: this.relay.name, ...this.#atWorker, code, reason }));
    this.#leaveConnection('stopped', undefined);
    this.#user.handleDown(failure, now);
  }

  #leaveConnection(state: 'waiting' | 'stopped', deadline: number | undefined): void {
    this.#state = state;
    this.#deadline = deadline;
    this.#awaitedDeadline = undefined;
    this.#greeted = false;
    this.#readySince = undefined;
    this.#keepalive = undefined;
    this.#drainDeadline = undefined;
  }
}
