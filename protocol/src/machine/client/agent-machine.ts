// The agent's side of the control protocol: asks the relay for sessions and knows which are live.
// Owns requests and sessions; the connection is the link's, flows over a session are the driver's.
//
//   openSession ─► open ─► opened ─► sessionOpened … sessionClosed
//                        └ openFailed, deadline, refusal ─► sessionFailed
//
// Every openSession ends in exactly one sessionOpened or sessionFailed, every sessionOpened in at
// most one sessionClosed (none after closeSession).

import type { FailureCode } from '../../failure-codes.js';
import { isName, NAME_RULE } from '../../identity.js';
import type { ControlMessage, ControlMessageOf, SessionHandle } from '../../wire/control-messages.js';
import { DEFAULT_AGENT_LIMITS, resolveLimits, type AgentLimits } from './client-limits.js';
import { ClientMachine, sessionKey } from './client-machine.js';
import { printable } from '../../wire/printable-text.js';
import type { LinkFailure } from './link-failure.js';
import type { LinkCommand, LinkInit } from './link-types.js';
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
  | { readonly kind: 'sessionClosed'; readonly session: SessionHandle; readonly code: FailureCode };

export type AgentCommand = LinkCommand | AgentSessionCommand;

export class AgentMachine extends ClientMachine<AgentSessionCommand> {
  readonly #failFast: boolean;
  readonly #openTimeoutMs: number;
  readonly #requests: OpenRequests;
  readonly #sessions = new Map<string, SessionHandle>();

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: AgentInit) {
    const limits = resolveLimits(DEFAULT_AGENT_LIMITS, init.limits);
    super({ ...init, role: 'agent', limits });
    this.#failFast = init.failFast ?? false;
    this.#openTimeoutMs = limits.openTimeoutMs;
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
  closeSession(session: SessionHandle): boolean {
    if (!this.#sessions.delete(sessionKey(session))) return false;
    this.link.send({ type: 'closeSession', session });
    return true;
  }

  override pollTimeout(): number | undefined {
    const deadlines = [super.pollTimeout(), this.#requests.nextDeadline].filter((at) => at !== undefined);
    return deadlines.length === 0 ? undefined : Math.min(...deadlines);
  }

  override handleTimeout(now: number): void {
    super.handleTimeout(now);
    for (let late; (late = this.#requests.expire(now)); ) {
      const { code, reason } = this.#lateBecause();
      this.#fail(late, code, reason);
    }
    this.#sendQueued();
  }

  protected override onEstablished(): void {
    this.#sendQueued();
  }

  protected override onReady(): void {}

  protected override onDown(failure: LinkFailure): void {
    this.#closeAll('connection_lost');
    this.#requests.requeue();
    if (this.#failFast && failure.refusal) this.#failAll(failure.code, failure.reason);
  }

  protected override onStopped(): void {
    this.#closeAll('no_error');
    this.#failAll('no_error', STOPPED);
  }

  protected override onMessage(message: ControlMessage): boolean {
    switch (message.type) {
      case 'opened':
        this.#handleOpened(message);
        break;
      case 'openFailed':
        this.#handleOpenFailed(message);
        break;
      case 'sessionClosed':
        this.#handleSessionClosed(message);
        break;
      default:
        return false;
    }
    // An answer makes room for the next request.
    this.#sendQueued();
    return true;
  }

  #handleOpened({ request, session, connector }: ControlMessageOf<'opened'>): void {
    const key = sessionKey(session);
    const duplicate = this.#sessions.has(key);
    const open = this.#requests.answer(request);
    if (open === undefined) {
      // Too late: nobody wants the session, and the relay should not keep it.
      if (this.#requests.answerAbandoned(request) && !duplicate) return this.link.send({ type: 'closeSession', session });
      return this.link.ignore('warn', 'opened', 'protocol_error');
    }
    if (duplicate) return this.#fail(open, 'protocol_error', 'the relay named a session that is open already');
    const fault = this.identityFault(connector, 'connector');
    if (fault !== undefined) {
      this.link.send({ type: 'closeSession', session });
      return this.#fail(open, fault, `the relay named ${connector} as connector`);
    }
    this.#sessions.set(key, session);
    this.link.emit({ kind: 'sessionOpened', request, service: open.service, session, connector });
  }

  #handleOpenFailed({ request, code, reason }: ControlMessageOf<'openFailed'>): void {
    const open = this.#requests.answer(request);
    if (open) return this.#fail(open, code, printable(reason));
    if (!this.#requests.answerAbandoned(request)) this.link.ignore('warn', 'openFailed', 'protocol_error');
  }

  #handleSessionClosed({ session, code }: ControlMessageOf<'sessionClosed'>): void {
    // Ordinary when both sides close at once.
    if (!this.#sessions.delete(sessionKey(session))) return this.link.ignore('debug', 'sessionClosed', 'session_unknown');
    this.link.emit({ kind: 'sessionClosed', session, code });
  }

  #refuseLocally(service: string): { code: FailureCode; reason: string } | undefined {
    if (this.state === 'stopped') return { code: 'no_error', reason: STOPPED };
    if (!isName(service)) return { code: 'service_unknown', reason: `not a service name: ${NAME_RULE}` };
    if (!this.#requests.full) return undefined;
    return { code: 'too_many_sessions', reason: `${this.#requests.size} requests are waiting already` };
  }

  /** With a working link the relay, or the connector behind it, is silent; without one, the link's failure is why. */
  #lateBecause(): { code: FailureCode; reason: string } {
    const within = `within ${this.#openTimeoutMs} ms`;
    if (this.registered) return { code: 'connector_timeout', reason: `no answer ${within}` };
    const { code, reason } = this.lastFailure ?? { code: 'relay_unreachable' as const, reason: `not connected ${within}` };
    return { code, reason };
  }

  #sendQueued(): void {
    if (!this.link.connected) return;
    for (let open; (open = this.#requests.nextToSend()); ) {
      this.link.send({ type: 'open', request: open.request, service: open.service });
    }
  }

  #fail({ request, service }: Pick<OpenRequest, 'request' | 'service'>, code: FailureCode, reason: string): void {
    this.link.emit({ kind: 'sessionFailed', request, service, code, reason });
  }

  #failAll(code: FailureCode, reason: string): void {
    for (const open of this.#requests.clear()) this.#fail(open, code, reason);
  }

  #closeAll(code: FailureCode): void {
    for (const session of this.#sessions.values()) this.link.emit({ kind: 'sessionClosed', session, code });
    this.#sessions.clear();
  }
}

const STOPPED = 'the agent is stopped';
