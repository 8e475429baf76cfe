// The agent's side of the control protocol: asks the relay for sessions and knows which are live.
// Owns requests and sessions; the connection is the link's, flows over a session are the driver's.
//
//   openSession ─► open ─► opened ─► sessionOpened … sessionClosed
//                        └ openFailed, deadline, refusal ─► sessionFailed
//
// Every openSession ends in exactly one sessionOpened or sessionFailed, every sessionOpened in at
// most one sessionClosed (none after closeSession). New sessions go over the link in use; those of a
// relay that drains stay on theirs until they end.

import type { FailureCode } from '../../failure-codes.js';
import { isName, NAME_RULE } from '../../identity.js';
import type { ControlMessage, ControlMessageOf, SessionHandle } from '../../wire/control-messages.js';
import { DEFAULT_AGENT_LIMITS, resolveLimits, type AgentLimits } from './client-limits.js';
import { ClientMachine } from './client-machine.js';
import { printable } from '../../wire/printable-text.js';
import { LinkedSessions } from './linked-sessions.js';
import type { LinkFailure } from './link-failure.js';
import type { LinkCommand, LinkId, LinkInit } from './link-types.js';
import type { Link } from './link.js';
import { OpenRequests, type OpenRequest, type RequestId } from './open-requests.js';

export interface AgentInit extends Omit<LinkInit, 'role' | 'limits'> {
  readonly limits?: Partial<AgentLimits>;
  /**
   * For one-shot use: the first refusal (of the TLS handshake or the registration) fails every
   * pending request at once, instead of retrying until its deadline. A relay that can't be reached
   * is still retried. Default false.
   */
  readonly failFast?: boolean;
}

export type AgentSessionCommand =
  /** `connector` is the SPIFFE URI the relay names; only the inner handshake proves it. */
  | {
      readonly kind: 'sessionOpened';
      readonly request: RequestId;
      readonly service: string;
      readonly link: LinkId;
      readonly session: SessionHandle;
      readonly connector: string;
    }
  | {
      readonly kind: 'sessionFailed';
      readonly request: RequestId;
      readonly service: string;
      readonly code: FailureCode;
      readonly reason: string;
    }
  | { readonly kind: 'sessionClosed'; readonly link: LinkId; readonly session: SessionHandle; readonly code: FailureCode }
  /** The link's relay shuts down: close what is of no use any more. What is left there ends with the relay. */
  | { readonly kind: 'relayDraining'; readonly link: LinkId }
  /** Sessions asked for from now on come over `to`: time to replace those of `from`. */
  | { readonly kind: 'relayMoved'; readonly from: LinkId; readonly to: LinkId };

export type AgentCommand = LinkCommand | AgentSessionCommand;

export class AgentMachine extends ClientMachine<AgentSessionCommand> {
  readonly #failFast: boolean;
  readonly #limits: AgentLimits;
  readonly #requests: OpenRequests;
  readonly #sessions = new LinkedSessions();
  /** Until when an absent connector counts as one that is on its way back too. */
  #settledAt = -Infinity;
  #wasReady = false;

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: AgentInit) {
    const limits = resolveLimits(DEFAULT_AGENT_LIMITS, init.limits);
    super({ ...init, role: 'agent', limits });
    this.#failFast = init.failFast ?? false;
    this.#limits = limits;
    this.#requests = new OpenRequests({
      maxPending: limits.maxPendingOpens,
      maxInFlight: limits.maxOpensInFlight,
      timeoutMs: limits.openTimeoutMs,
    });
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Requests without an answer. */
  get pendingCount(): number {
    return this.#requests.size;
  }

  /** Asks for a session, now or once connected. The outcome is a command, never later than the deadline. */
  openSession(service: string, now: number): RequestId {
    const request = this.#requests.nextId();
    const refused = this.#refuseLocally(service);
    if (refused) {
      this.#fail({ request, service }, refused.code, refused.reason);
    } else {
      this.#requests.add(request, service, now);
      this.#sendQueued();
    }
    return request;
  }

  /** Ends a live session from this side, without a `sessionClosed`. False when there is none. */
  closeSession(link: LinkId, session: SessionHandle, now: number): boolean {
    if (!this.#sessions.delete(link, session)) return false;
    this.links.get(link)?.send({ type: 'closeSession', session });
    this.links.settle(now);
    return true;
  }

  override pollTimeout(): number | undefined {
    const at = Math.min(super.pollTimeout() ?? Infinity, this.#requests.nextDeadline ?? Infinity);
    return at === Infinity ? undefined : at;
  }

  override handleTimeout(now: number): void {
    super.handleTimeout(now);
    for (let late; (late = this.#requests.expire(now)); ) {
      const { code, reason } = this.#lateBecause();
      this.#fail(late, code, reason);
    }
    this.#requests.release(now);
    this.#sendQueued();
  }

  protected override onEstablished(): void {
    this.#sendQueued();
  }

  protected override onReady(_link: Link<AgentSessionCommand>, _services: readonly string[], now: number): void {
    // The first time nobody has left anywhere, so that an absent connector is absent.
    if (this.#wasReady) this.#settledAt = now + this.#limits.settleMs;
    this.#wasReady = true;
    this.#sendQueued();
  }

  protected override onDraining(link: Link<AgentSessionCommand>): void {
    this.links.emit({ kind: 'relayDraining', link: link.id });
  }

  protected override onMoved(from: Link<AgentSessionCommand>, to: Link<AgentSessionCommand>): void {
    this.#requests.withdraw(from.id);
    this.#sendQueued();
    this.links.emit({ kind: 'relayMoved', from: from.id, to: to.id });
  }

  protected override onDown(link: Link<AgentSessionCommand>, failure: LinkFailure): void {
    const code = failure.code === 'draining' ? 'draining' : 'connection_lost';
    for (const session of this.#sessions.takeOn(link.id)) this.links.emit({ kind: 'sessionClosed', link: link.id, session, code });
    this.#requests.requeue(link.id);
    if (this.#failFast && failure.refusal && this.links.size === 1) this.#failAll(failure.code, failure.reason);
    this.#sendQueued();
  }

  protected override onStopped(): void {
    for (const { link, session } of this.#sessions.takeAll()) this.links.emit({ kind: 'sessionClosed', link, session, code: 'no_error' });
    this.#failAll('no_error', STOPPED);
  }

  protected override isBusy(link: Link<AgentSessionCommand>): boolean {
    return this.#sessions.countOn(link.id) > 0;
  }

  protected override isIdle(link: Link<AgentSessionCommand>): boolean {
    return this.#requests.size === 0 && !this.isBusy(link);
  }

  protected override isAwaited(): boolean {
    return this.#requests.size > 0;
  }

  protected override onMessage(link: Link<AgentSessionCommand>, message: ControlMessage, now: number): boolean {
    switch (message.type) {
      case 'opened':
        this.#handleOpened(link, message);
        break;
      case 'openFailed':
        this.#handleOpenFailed(link, message, now);
        break;
      case 'sessionClosed':
        this.#handleSessionClosed(link, message);
        break;
      default:
        return false;
    }
    // An answer makes room for the next request.
    this.#sendQueued();
    return true;
  }

  #handleOpened(link: Link<AgentSessionCommand>, { request, session, connector }: ControlMessageOf<'opened'>): void {
    const duplicate = this.#sessions.has(link.id, session);
    const open = this.#requests.answer(request, link.id);
    if (open === undefined) {
      // Too late: nobody wants the session, and the relay should not keep it.
      if (this.#requests.answerAbandoned(request, link.id) && !duplicate) return link.send({ type: 'closeSession', session });
      return link.report.ignored('warn', 'opened', 'protocol_error');
    }
    if (duplicate) return this.#fail(open, 'protocol_error', 'the relay named a session that is open already');
    const fault = this.identityFault(connector, 'connector');
    if (fault !== undefined) {
      link.send({ type: 'closeSession', session });
      return this.#fail(open, fault, `the relay named ${connector} as connector`);
    }
    this.#sessions.add(link.id, session);
    this.links.emit({ kind: 'sessionOpened', request, service: open.service, link: link.id, session, connector });
  }

  #handleOpenFailed(link: Link<AgentSessionCommand>, { request, code, reason }: ControlMessageOf<'openFailed'>, now: number): void {
    if (this.#isPassing(link, code, now) && this.#requests.defer(request, link.id, now + this.#limits.settleRetryMs)) return;
    const open = this.#requests.answer(request, link.id);
    if (open) return this.#fail(open, code, printable(reason));
    if (!this.#requests.answerAbandoned(request, link.id)) link.report.ignored('warn', 'openFailed', 'protocol_error');
  }

  /** Another relay takes over shortly, or this one comes back; so do the connectors that were with the same relay. */
  #isPassing(link: Link<AgentSessionCommand>, code: FailureCode, now: number): boolean {
    if (code === 'draining') return link.drainDeadline !== undefined;
    return (code === 'connector_absent' || code === 'connector_gone') && now < this.#settledAt;
  }

  #handleSessionClosed(link: Link<AgentSessionCommand>, { session, code }: ControlMessageOf<'sessionClosed'>): void {
    // Ordinary when both sides close at once.
    if (!this.#sessions.delete(link.id, session)) return link.report.ignored('debug', 'sessionClosed', 'session_unknown');
    this.links.emit({ kind: 'sessionClosed', link: link.id, session, code });
  }

  #refuseLocally(service: string): { code: FailureCode; reason: string } | undefined {
    if (this.state === 'stopped') return { code: 'no_error', reason: STOPPED };
    if (!isName(service)) return { code: 'service_unknown', reason: `not a service name: ${NAME_RULE}` };
    if (!this.#requests.full) return undefined;
    return { code: 'too_many_sessions', reason: `${this.#requests.size} requests are waiting already` };
  }

  /** With a working link the relay, or the connector behind it, is silent; without one, the link's failure is why. */
  #lateBecause(): { code: FailureCode; reason: string } {
    const within = `within ${this.#limits.openTimeoutMs} ms`;
    if (this.drainDeadline !== undefined) return { code: 'draining', reason: `relay ${this.relay.name} is shutting down, and no other took over ${within}` };
    if (this.registered) return { code: 'connector_timeout', reason: `no answer ${within}` };
    const { code, reason } = this.lastFailure ?? { code: 'relay_unreachable' as const, reason: `not connected ${within}` };
    return { code, reason };
  }

  /** A relay that drains would refuse: its successor, or its next life, gets the requests. */
  #sendQueued(): void {
    const link = this.links.current;
    if (!link.connected || link.drainDeadline !== undefined) return;
    for (let open; (open = this.#requests.nextToSend(link.id)); ) {
      link.send({ type: 'open', request: open.request, service: open.service });
    }
  }

  #fail({ request, service }: Pick<OpenRequest, 'request' | 'service'>, code: FailureCode, reason: string): void {
    this.links.emit({ kind: 'sessionFailed', request, service, code, reason });
  }

  #failAll(code: FailureCode, reason: string): void {
    for (const open of this.#requests.clear()) this.#fail(open, code, reason);
  }
}

const STOPPED = 'the agent is stopped';
