// Sessions from `open` to their end. Owns the order of checks, the asking of connectors one after
// the other, and who is told what when a session ends. Choosing a connector is registry.ts,
// forwarding is datagram-switch.ts.
//
//   open ─► checks ─► incoming ─► accept ─► opened ─► … ─► sessionClosed
//             │          └─► reject, 5 s, connector gone: ask the next, or openFailed
//             └─► openFailed

import type { FailureCode } from '../../failure-codes.js';
import { isName } from '../../identity.js';
import type { ControlMessageOf, SessionHandle } from '../../wire/control-messages.js';
import { DeadlineList } from './deadline-list.js';
import type { Drain } from './drain.js';
import { IdleSweep } from './idle-sweep.js';
import type { RelayLimitsReached } from './limits-reached.js';
import type { Policy } from './policy.js';
import type { Registry } from './registry.js';
import { rejectCode, rejectReason } from './reject-codes.js';
import type { RelayConnection } from './relay-connection.js';
import type { RelayLimits } from './relay-limits.js';
import { clipReason, type RelayOutbox } from './relay-outbox.js';
import { Session, type SessionRequest } from './session.js';
import type { SessionTable } from './session-table.js';

export interface SessionBrokerComponents {
  readonly table: SessionTable<Session>;
  readonly registry: Registry;
  readonly outbox: RelayOutbox;
  readonly drain: Drain;
  readonly limits: RelayLimits;
  readonly limitsReached: RelayLimitsReached;
  readonly policy: Policy;
  /** True while memory is short: sessions that exist go before new ones. */
  readonly isStrained: () => boolean;
}

/** Why something didn't come about. */
interface Failure {
  readonly code: FailureCode;
  readonly reason: string;
}

export class SessionBroker {
  readonly #components: SessionBrokerComponents;
  readonly #sessions = new Set<Session>();
  readonly #pending: DeadlineList<Session>;
  readonly #sweep: IdleSweep;
  #policy: Policy;

  constructor(components: SessionBrokerComponents) {
    this.#components = components;
    this.#policy = components.policy;
    this.#pending = new DeadlineList(() => components.limits.acceptTimeoutMs);
    this.#sweep = new IdleSweep(this.#sessions, components.table, () => components.limits.sessionIdleMs);
  }

  /** Sessions, pending ones included. */
  get size(): number {
    return this.#sessions.size;
  }

  get pending(): number {
    return this.#pending.size;
  }

  get earliestDeadline(): number | undefined {
    const { earliest } = this.#pending;
    const { deadline } = this.#sweep;
    return earliest === undefined || deadline === undefined ? (earliest ?? deadline) : Math.min(earliest, deadline);
  }

  open(agent: RelayConnection, message: ControlMessageOf<'open'>, now: number): void {
    const request: SessionRequest = { agent, request: message.request, service: message.service };
    const refusal = this.#refusal(request, now);
    if (refusal !== undefined) return this.#refuse(request, refusal);
    const session = this.#create(request, now);
    this.#askNext(session, { code: 'connector_absent', reason: `no connector serves ${session.service}` }, now);
  }

  accept(connector: RelayConnection, handle: SessionHandle): void {
    const { table, outbox } = this.#components;
    const session = table.find(connector.id, handle);
    if (session === undefined) {
      // Usually an accept that crossed the end of its session: the connector must drop what it set up.
      outbox.send(connector, { type: 'sessionClosed', session: handle, code: 'session_unknown' });
      return this.#messageRefused(connector, 'session_unknown', 'accept');
    }
    if (session.established) return this.#refuseMessage(connector, 'unexpected_message', 'accept');
    this.#pending.cancel(session);
    session.established = true;
    session.asked.length = 0;
    session.agent.account.pendingOpens -= 1;
    table.link(session.agentSlot, session.connectorSlot);
    const { agent, request, service } = session;
    outbox.send(agent, { type: 'opened', request, session: table.handle(session.agentSlot), connector: connector.uri });
    const { id: conn, uri: identity } = agent;
    outbox.event({ level: 'info', name: 'session_opened', conn, identity, service, connector: connector.uri });
  }

  reject(connector: RelayConnection, message: ControlMessageOf<'reject'>, now: number): void {
    const session = this.#components.table.find(connector.id, message.session);
    if (session === undefined) return this.#refuseMessage(connector, 'session_unknown', 'reject');
    if (session.established) return this.#refuseMessage(connector, 'unexpected_message', 'reject');
    const { code, reason } = message;
    this.#attemptFailed(session, { code: rejectCode(code), reason: rejectReason(connector.name, code, reason) }, now);
  }

  /** From either end. A connector that closes what it was only asked for has rejected it. */
  close(connection: RelayConnection, handle: SessionHandle, now: number): void {
    const { table } = this.#components;
    const session = table.find(connection.id, handle);
    // Both sides closing at once is ordinary: the second is neither answered nor reported.
    if (session === undefined && table.wasReleased(handle)) return;
    if (session?.established === true) return this.#end(session, 'session_ended', connection);
    // An agent hasn't been told the handle of a pending session: to it there is no such session.
    if (session?.connector !== connection) return this.#refuseMessage(connection, 'session_unknown', 'closeSession');
    const reason = rejectReason(connection.name, 'session_ended', '');
    this.#attemptFailed(session, { code: 'connector_rejected', reason }, now);
  }

  /**
   * Ends everything a connection holds, after it was closed and left the registry. Opens waiting for
   * its answer go to the next connector.
   */
  endAll(connection: RelayConnection, code: FailureCode, now: number): void {
    for (const session of [...connection.sessions]) {
      if (session.established) this.#end(session, code, connection);
      else if (session.agent === connection) this.#abandon(session, { code, reason: 'the agent left first' });
      else this.#attemptFailed(session, { code, reason: `connector ${connection.name} left before an answer` }, now);
    }
  }

  /**
   * Gives the sessions of one connector connection to another of the same identity, which serves in its stead. Agents do
   * not notice but for the datagrams that are under way. Opens waiting for an answer are asked anew.
   *
   * @returns how many went over
   */
  moveSessions(from: RelayConnection, to: RelayConnection, now: number): number {
    let moved = 0;
    for (const session of [...from.sessions]) {
      if (!session.established) {
        this.#attemptFailed(session, { code: 'connector_gone', reason: `connector ${from.name} renews its connection` }, now, 'connector_gone');
      } else if (to.registration?.services.has(session.service) !== true) this.#end(session, 'connector_gone');
      else {
        this.#moveConnectorEnd(session, from, to);
        moved += 1;
      }
    }
    return moved;
  }

  #moveConnectorEnd(session: Session, from: RelayConnection, to: RelayConnection): void {
    const { table, outbox } = this.#components;
    const before = table.handle(session.connectorSlot);
    table.release(session.connectorSlot);
    const slot = table.allocate(to.id);
    table.attach(slot, session);
    table.link(session.agentSlot, slot);
    session.connector = to;
    session.connectorSlot = slot;
    from.sessions.delete(session);
    to.sessions.add(session);
    outbox.send(to, { type: 'sessionMoved', session: table.handle(slot), before });
  }

  /** Ends the sessions that the new policy doesn't allow. @returns how many */
  setPolicy(policy: Policy): number {
    this.#policy = policy;
    let revoked = 0;
    for (const session of [...this.#sessions]) {
      if (policy.decide(session.agent.name, session.service) === 'allow') continue;
      revoked += 1;
      if (session.established) this.#end(session, 'policy_revoked');
      else this.#abandon(session, { code: 'policy_revoked', reason: 'policy changed before an answer' });
    }
    return revoked;
  }

  handleTimeout(now: number): void {
    const { limitsReached } = this.#components;
    for (let session; (session = this.#pending.takeDue(now)); ) {
      const { acceptTimeoutMs } = this.#components.limits;
      limitsReached.acceptTimeout += 1;
      const reason = `connector ${session.connector!.name} did not answer within ${acceptTimeoutMs} ms`;
      this.#attemptFailed(session, { code: 'connector_timeout', reason }, now, 'connector_timeout');
    }
    for (const session of this.#sweep.takeIdle(now)) {
      limitsReached.sessionIdle += 1;
      this.#end(session, 'session_idle');
    }
  }

  /** The checks in their order: what an agent may not open tells it nothing about connectors. */
  #refusal({ agent, service }: SessionRequest, now: number): Failure | undefined {
    const { drain, limits, limitsReached, registry, isStrained } = this.#components;
    if (!agent.registered) return { code: 'not_registered', reason: 'register before opening sessions' };
    if (drain.active) return { code: 'draining', reason: 'this relay is shutting down' };
    if (!agent.account.opens.take(now)) {
      limitsReached.opens += 1;
      return { code: 'rate_limited', reason: 'opens more sessions a second than one agent may' };
    }
    const decision = this.#policy.decide(agent.name, service);
    if (decision === 'service_unknown') return { code: decision, reason: 'no policy rule names this service' };
    if (decision === 'policy_denied') return { code: decision, reason: `${agent.name} may not open ${service}` };
    const { sessions, pendingOpens } = agent.account;
    if (pendingOpens >= limits.maxPendingOpensPerAgent) return this.#tooMany('pendingOpensPerAgent', `${pendingOpens} opens wait for an answer`);
    if (sessions >= limits.maxSessionsPerAgent) return this.#tooMany('sessionsPerAgent', `${sessions} are open`);
    if (this.size >= limits.maxSessions) return this.#tooMany('sessions', 'this relay is full');
    if (isStrained()) return this.#tooMany('strainedQueues', 'the queues of this relay are nearly full');
    if (!registry.serves(service)) return { code: 'connector_absent', reason: `no connector serves ${service}` };
    return undefined;
  }

  #tooMany(limit: keyof RelayLimitsReached, reason: string): Failure {
    this.#components.limitsReached[limit] += 1;
    return { code: 'too_many_sessions', reason };
  }

  #create(request: SessionRequest, now: number): Session {
    const { table } = this.#components;
    const { agent } = request;
    const session = new Session(request, table.allocate(agent.id));
    table.attach(session.agentSlot, session);
    this.#sessions.add(session);
    this.#sweep.handleCreated(now);
    agent.sessions.add(session);
    agent.account.sessions += 1;
    agent.account.pendingOpens += 1;
    return session;
  }

  /** Asks one more connector, or fails the open with the last failure. */
  #askNext(session: Session, last: Failure, now: number): void {
    const { table, registry, outbox, limits, limitsReached } = this.#components;
    const { agent, service, asked } = session;
    const previous = asked.at(-1);
    const mayAsk = asked.length < limits.maxConnectorsPerOpen;
    if (!mayAsk && registry.hasOther(service, asked)) limitsReached.connectorsPerOpen += 1;
    const connector = mayAsk ? registry.next(service, asked) : undefined;
    if (connector === undefined) return this.#abandon(session, last);
    if (previous !== undefined) {
      const { id: conn, uri: identity } = previous;
      outbox.event({ level: 'warn', name: 'session_failover', conn, identity, service, agent: agent.uri, ...last });
    }
    asked.push(connector);
    const slot = table.allocate(connector.id);
    table.attach(slot, session);
    session.connector = connector;
    session.connectorSlot = slot;
    connector.sessions.add(session);
    this.#pending.set(session, now);
    outbox.send(connector, { type: 'incoming', session: table.handle(slot), agent: agent.uri, service });
  }

  /** @param tell the code for the connector, if it still waits for an outcome */
  #attemptFailed(session: Session, failure: Failure, now: number, tell?: FailureCode): void {
    this.#releaseConnectorEnd(session, tell);
    this.#askNext(session, { code: failure.code, reason: clipReason(failure.reason) }, now);
  }

  /** A pending session comes to nothing; a connector that was asked is told. */
  #abandon(session: Session, failure: Failure): void {
    this.#releaseConnectorEnd(session, failure.code);
    session.agent.account.pendingOpens -= 1;
    this.#forget(session);
    this.#refuse(session, failure);
  }

  /** An established session ends; both ends are told but for the one that asked for it. */
  #end(session: Session, code: FailureCode, closer?: RelayConnection): void {
    const { table, outbox } = this.#components;
    const { agent, service } = session;
    const { id: conn, uri: identity } = agent;
    const connector = session.connector!.uri;
    if (agent !== closer) {
      outbox.send(agent, { type: 'sessionClosed', session: table.handle(session.agentSlot), code });
    }
    this.#releaseConnectorEnd(session, session.connector === closer ? undefined : code);
    this.#forget(session);
    outbox.event({ level: 'info', name: 'session_closed', conn, identity, service, connector, code });
  }

  #releaseConnectorEnd(session: Session, tell: FailureCode | undefined): void {
    const { table, outbox } = this.#components;
    const { connector, connectorSlot } = session;
    if (connector === undefined) return;
    if (tell !== undefined) {
      outbox.send(connector, { type: 'sessionClosed', session: table.handle(connectorSlot), code: tell });
    }
    this.#pending.cancel(session);
    table.release(connectorSlot);
    connector.sessions.delete(session);
    session.connector = undefined;
    session.connectorSlot = -1;
  }

  #forget(session: Session): void {
    this.#components.table.release(session.agentSlot);
    this.#sessions.delete(session);
    session.agent.sessions.delete(session);
    session.agent.account.sessions -= 1;
  }

  #refuse({ agent, request, service }: SessionRequest, { code, reason }: Failure): void {
    const { outbox } = this.#components;
    outbox.send(agent, { type: 'openFailed', request, code, reason });
    const about = { conn: agent.id, identity: agent.uri, ...(isName(service) && { service }) };
    outbox.event({ level: 'warn', name: 'session_refused', ...about, code, reason });
  }

  #refuseMessage(connection: RelayConnection, code: FailureCode, about: string): void {
    const reason = code === 'session_unknown' ? 'no such session on this connection' : 'the session is already open';
    this.#components.outbox.error(connection, code, reason, about);
    this.#messageRefused(connection, code, about);
  }

  #messageRefused({ id: conn, uri: identity }: RelayConnection, code: FailureCode, about: string): void {
    this.#components.outbox.event({ level: 'warn', name: 'message_refused', conn, identity, code, about });
  }
}
