// The relay's state machine: who is connected, who may do what, and who is told. No I/O, no clock,
// no randomness of its own. Owns connections and the dispatch of their messages; registration is
// registrar.ts, sessions are session-broker.ts, datagrams datagram-switch.ts.
//
// Driver contract: call one handle method, then `nextCommand` until undefined, then arm a timer for
// `pollTimeout`. `now` is milliseconds of a clock that never goes back.

import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import type { ConnectionRateTable } from '../../limits/connection-limits.js';
import type { ControlMessage, ObservedAddress } from '../../wire/control-messages.js';
import { DROP_REASONS } from '../../wire/drop-reasons.js';
import { DatagramCounters } from '../datagram-counters.js';
import { ConnectionTable } from './connection-table.js';
import { DatagramSwitch } from './datagram-switch.js';
import { DeadlineList } from './deadline-list.js';
import { Drain } from './drain.js';
import { answerHello } from './greeting.js';
import { createRelayLimitsReached, type RelayLimitsReached } from './limits-reached.js';
import type { Policy } from './policy.js';
import { Registrar } from './registrar.js';
import { Registry } from './registry.js';
import type { RelayConnection, ConnectionId, RelayPeer, ReviewedClient } from './relay-connection.js';
import type { ControlStreamFault, RelayMachineInit, RelayStats } from './relay-init.js';
import { RelayOutbox, clipAbout, clipReason, type RelayCommand } from './relay-outbox.js';
import { maySend, type ClientRequest } from './role-rules.js';
import type { Session } from './session.js';
import { SessionBroker } from './session-broker.js';
import { SessionTable } from './session-table.js';

export class RelayMachine {
  /** The machine counts received, consumed and its own drops; the driver counts the rest. */
  readonly counters = new DatagramCounters();
  readonly #limitsReached = createRelayLimitsReached();
  readonly #init: RelayMachineInit;
  readonly #connections: ConnectionTable;
  readonly #greetings: DeadlineList<RelayConnection>;
  readonly #outbox = new RelayOutbox();
  readonly #drain = new Drain();
  readonly #registry = new Registry();
  readonly #table: SessionTable<Session>;
  readonly #registrar: Registrar;
  readonly #broker: SessionBroker;
  readonly #switch: DatagramSwitch;

  constructor(init: RelayMachineInit) {
    const { limits, policy, rates, isStrained, verifyToken, wallClock } = init;
    const shared = { registry: this.#registry, outbox: this.#outbox, drain: this.#drain, limits, limitsReached: this.#limitsReached };
    this.#init = init;
    this.#connections = new ConnectionTable(rates);
    this.#greetings = new DeadlineList(() => limits.helloTimeoutMs);
    this.#table = new SessionTable(init.randomU32);
    this.#broker = new SessionBroker({ ...shared, table: this.#table, policy, isStrained });
    const close = this.#close.bind(this);
    this.#registrar = new Registrar({ ...shared, verifyToken, wallClock, close, moveSessions: (from, to, now) => this.#broker.moveSessions(from, to, now) });
    const onForeignSession = this.#refuseDatagram.bind(this);
    this.#switch = new DatagramSwitch({ connections: this.#connections.byId, table: this.#table, counters: this.counters, onForeignSession });
  }

  /** A client finished its handshake: certificate verified, identity read. `conn` must be free. */
  handleConnected(conn: ConnectionId, peer: RelayPeer, now: number): void {
    this.handleDisconnected(conn, now);
    const connection = this.#connections.add(conn, peer, now);
    this.#greetings.set(connection, now);
    const { uri: identity } = connection;
    this.#outbox.event({ level: 'info', name: 'client_connected', conn, identity });
    if (peer.identity.trustDomain !== this.#init.identity.trustDomain) {
      this.#refuse(connection, 'trust_domain_mismatch', `this relay serves ${this.#init.identity.trustDomain}`, now);
    } else if (peer.identity.role === 'relay') {
      this.#refuse(connection, 'role_not_allowed', 'a relay certificate is no client certificate', now);
    } else if (this.#drain.finished) {
      this.#refuse(connection, 'draining', 'this relay has shut down', now);
    }
  }

  /** Messages on a connection that is closed or was never connected are ignored. */
  handleControl(conn: ConnectionId, message: ControlMessage, now: number): void {
    const connection = this.#connections.live(conn);
    if (connection === undefined) return;
    if (connection.phase === 'greeting') this.#greet(connection, message, now);
    else if (maySend(connection.peer.identity.role, message)) this.#dispatch(connection, message, now);
    else this.#refuseMessage(connection, message.type);
    this.#settleDrain(now);
  }

  /** Not fatal: answered with `error`. Fatal, or before `hello`: answered, then closed with the code. */
  handleControlFault(conn: ConnectionId, fault: ControlStreamFault, now: number): void {
    const connection = this.#connections.live(conn);
    if (connection === undefined) return;
    const { code } = fault;
    const fatal = fault.fatal || connection.phase === 'greeting';
    const reason = clipReason(fault.reason);
    const about = clipAbout(fault.about ?? '');
    this.#outbox.error(connection, code, reason, about);
    const { uri: identity } = connection;
    this.#outbox.event({ level: 'warn', name: 'control_fault', conn, identity, code, reason, about, fatal });
    if (fatal) this.#close(connection, code, reason, now);
    this.#settleDrain(now);
  }

  /**
   * HOT PATH. Where a relayed datagram goes: a connection (>= 0; slot and tag were rewritten in
   * place), or `DATAGRAM_CONSUMED`, `DATAGRAM_DROPPED`, `DATAGRAM_REPLY`. Everything is counted but
   * the forwarding itself: for a result >= 0 the driver counts `forwarded` or a drop. Queues no command, but for the first datagram of a
   * connection that names another's session: that one is answered with `error` and reported.
   *
   * @param length bytes of the datagram within the buffer
   * @param now may be that of the batch: it is only for the rates
   */
  handleDatagram(conn: ConnectionId, datagram: Uint8Array, length: number, now: number): number {
    return this.#switch.route(conn, datagram, length, now);
  }

  /** Which flow of the queue towards `to` a routed datagram belongs to: an integer, within that queue. */
  flowOf(from: ConnectionId, to: ConnectionId, datagram: Uint8Array): number {
    return this.#switch.flowOf(from, to, datagram);
  }

  /** Whether the session of a routed datagram, which waited for `to`, is still open. */
  isCurrent(to: ConnectionId, datagram: Uint8Array): boolean {
    return this.#switch.isCurrent(to, datagram);
  }

  /** A control message arrived. False: its sender is over its rate, leave it and what follows unread for a while. */
  admitControl(conn: ConnectionId, now: number): boolean {
    return this.#connections.byId[conn]?.limits.controlMessages.take(now) !== false;
  }

  /** Rates for everybody from now on; a bucket keeps what it holds as far as it fits. */
  setRates(rates: ConnectionRateTable, now: number): void {
    this.#connections.setRates(rates, now);
  }

  /** The client's address as this relay sees it, whenever QUIC has validated a new one. */
  handleAddressChanged(conn: ConnectionId, observed: ObservedAddress, _now: number): void {
    const connection = this.#connections.live(conn);
    if (connection === undefined) return;
    const { host, port } = connection.observed;
    if (host === observed.host && port === observed.port) return;
    connection.observed = observed;
    if (connection.phase === 'ready') this.#outbox.send(connection, { type: 'observedAddress', observed });
  }

  /** The connection is gone, and its id free. `end` says why, unless the client just left. */
  handleDisconnected(conn: ConnectionId, now: number, end?: { readonly code: FailureCode; readonly reason: string }): void {
    const connection = this.#connections.byId[conn];
    if (connection === undefined) return;
    this.#retire(connection, goneCode(connection), now);
    this.#connections.remove(connection, now);
    this.#outbox.event({ level: 'info', name: 'client_disconnected', conn, identity: connection.uri, ...end });
    this.#settleDrain(now);
  }

  /** Applies to new opens at once; open and pending sessions that lost their right end, both sides told. */
  setPolicy(policy: Policy, now: number): void {
    const revokedSessions = this.#broker.setPolicy(policy);
    this.#outbox.event({ level: 'info', name: 'policy_replaced', revokedSessions });
    this.#settleDrain(now);
  }

  /**
   * Asks of every client whether it may stay, after something it rests on changed: keys, certificates,
   * the deny list. Whoever may not is closed with the code, and its sessions end with it on both sides.
   *
   * @returns how many were closed
   */
  review(judge: (client: ReviewedClient) => FailureCode | undefined, now: number): number {
    let closed = 0;
    for (const connection of this.#connections.all()) {
      if (connection.phase === 'closed') continue;
      const code = judge({ conn: connection.id, peer: connection.peer, registration: connection.registration });
      if (code === undefined) continue;
      const { id: conn, uri: identity } = connection;
      this.#outbox.event({ level: 'warn', name: 'right_withdrawn', conn, identity, code });
      this.#close(connection, code, failureMeaning(code), now, code);
      closed += 1;
    }
    this.#settleDrain(now);
    return closed;
  }

  /**
   * Shuts down: registrations and opens are refused, sessions go on until none is left or the time is
   * over; then every connection is closed with `draining` and the command `drained` comes, once.
   *
   * @param deadlineMs milliseconds from now; a second call can only shorten it
   */
  drain(deadlineMs: number, now: number): void {
    if (this.#drain.finished || !this.#drain.start(now + deadlineMs)) return;
    this.#outbox.event({ level: 'info', name: 'drain_started', deadlineMs, sessions: this.#broker.size });
    for (const connection of this.#connections.all()) {
      if (connection.phase === 'ready') this.#sendDrain(connection, now);
    }
    this.#settleDrain(now);
  }

  /** When `handleTimeout` is due, in the milliseconds of `now`; undefined: nothing waits. */
  pollTimeout(): number | undefined {
    // Asked after every batch of datagrams, so without lists.
    const at = Math.min(this.#greetings.earliest ?? Infinity, this.#broker.earliestDeadline ?? Infinity, this.#drain.deadline ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  /** Acts on every deadline that is due; early calls are harmless. */
  handleTimeout(now: number): void {
    for (let connection; (connection = this.#greetings.takeDue(now)); ) {
      this.#limitsReached.helloTimeout += 1;
      this.#refuse(connection, 'handshake_timeout', `no hello within ${this.#init.limits.helloTimeoutMs} ms`, now);
    }
    this.#broker.handleTimeout(now);
    this.#settleDrain(now);
  }

  nextCommand(): RelayCommand | undefined {
    return this.#outbox.next();
  }

  /** How often each of its bounds held somebody back. */
  get limitsReached(): Readonly<RelayLimitsReached> {
    return this.#limitsReached;
  }

  stats(): RelayStats {
    return {
      connections: this.#connections.size,
      identities: this.#connections.identities,
      registeredConnectors: this.#registry.connectors,
      services: this.#registry.services,
      sessions: this.#broker.size,
      pendingSessions: this.#broker.pending,
      sessionEnds: this.#table.size,
    };
  }

  #greet(connection: RelayConnection, message: ControlMessage, now: number): void {
    const answer = answerHello(message, { ...connection.peer, observed: connection.observed }, this.#init);
    if (!answer.ok) return this.#refuse(connection, answer.code, answer.reason, now);
    this.#greetings.cancel(connection);
    connection.phase = 'ready';
    this.#outbox.send(connection, answer.helloAck);
    if (this.#drain.active) this.#sendDrain(connection, now);
  }

  #dispatch(connection: RelayConnection, message: ClientRequest, now: number): void {
    switch (message.type) {
      case 'register':
        return this.#registrar.register(connection, message, now);
      case 'open':
        return this.#broker.open(connection, message, now);
      case 'accept':
        return this.#broker.accept(connection, message.session);
      case 'reject':
        return this.#broker.reject(connection, message, now);
      case 'closeSession':
        return this.#broker.close(connection, message.session, now);
      case 'ping':
        return this.#outbox.send(connection, { type: 'pong', timestamp: message.timestamp });
    }
  }

  #refuseMessage(connection: RelayConnection, about: string): void {
    const code = 'unexpected_message';
    this.#outbox.error(connection, code, `${about} is not for this role to send, or not now`, about);
    const { id: conn, uri: identity } = connection;
    this.#outbox.event({ level: 'warn', name: 'message_refused', conn, identity, code, about });
  }

  /** The code tells the client no more than a slot that is free would; the log says whose fault it is. */
  #refuseDatagram(connection: RelayConnection): void {
    const code = 'session_unknown';
    const about = 'datagram';
    this.#outbox.error(connection, code, 'no such session on this connection', about);
    const { id: conn, uri: identity } = connection;
    this.#outbox.event({ level: 'warn', name: 'datagram_refused', conn, identity, code, reason: DROP_REASONS.not_owner });
  }

  #refuse(connection: RelayConnection, code: FailureCode, reason: string, now: number): void {
    const { id: conn, uri: identity } = connection;
    this.#outbox.event({ level: 'warn', name: 'client_refused', conn, identity, code, reason });
    this.#close(connection, code, reason, now);
  }

  #sendDrain(connection: RelayConnection, now: number): void {
    this.#outbox.send(connection, { type: 'drain', deadlineMs: this.#drain.remainingMs(now) });
  }

  /** The machine's own decision to close. The connection holds nothing from here on. */
  #close(connection: RelayConnection, code: FailureCode, reason: string, now: number, sessionCode?: FailureCode): void {
    if (connection.phase === 'closed') return;
    this.#outbox.close(connection, code, reason);
    const speaksForSessions = code === 'registration_replaced' || code === 'draining';
    this.#retire(connection, sessionCode ?? (speaksForSessions ? code : goneCode(connection)), now);
  }

  /** Takes a connection out of everything; its sessions end with `code` for the other side. */
  #retire(connection: RelayConnection, code: FailureCode, now: number): void {
    if (connection.phase === 'closed') return;
    connection.phase = 'closed';
    connection.registration = undefined;
    this.#greetings.cancel(connection);
    this.#registry.remove(connection);
    this.#broker.endAll(connection, code, now);
  }

  #settleDrain(now: number): void {
    const { deadline } = this.#drain;
    if (deadline === undefined || (now < deadline && this.#broker.size > 0)) return;
    this.#drain.finished = true;
    this.#outbox.event({ level: 'info', name: 'drain_finished', sessions: this.#broker.size });
    const connections = this.#connections.all();
    // First nobody serves anything: a pending open must not move to a connector about to be closed.
    for (const connection of connections) this.#registry.remove(connection);
    for (const connection of connections) this.#close(connection, 'draining', 'this relay is shutting down', now);
    this.#outbox.drained();
  }
}

const goneCode = (connection: RelayConnection): FailureCode =>
  connection.isConnector ? 'connector_gone' : 'agent_gone';
