// The connector's side of the control protocol: takes or rejects the sessions a relay announces.
// Owns which are live; the connection is the link's, and what an agent may do inside a session is
// decided again by the inner handshake, because everything here is the relay's word only.

import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import type { ControlMessage, ControlMessageOf, SessionHandle } from '../../wire/control-messages.js';
import { DEFAULT_CONNECTOR_LIMITS, resolveLimits, type ConnectorLimits } from './client-limits.js';
import { ClientMachine } from './client-machine.js';
import { LinkedSessions, type LinkedSession } from './linked-sessions.js';
import type { LinkFailure } from './link-failure.js';
import type { LinkCommand, LinkId, LinkInit } from './link-types.js';
import type { Link } from './link.js';

export interface ConnectorInit extends Omit<LinkInit, 'role' | 'limits'> {
  /** Names of the services served; the same that `mintToken` puts into the token. */
  readonly services: Iterable<string>;
  readonly limits?: Partial<ConnectorLimits>;
}

export type ConnectorSessionCommand =
  /** A session is taken; `accept` is sent right after. `agent` is the SPIFFE URI the relay names. */
  | {
      readonly kind: 'sessionIncoming';
      readonly link: LinkId;
      readonly session: SessionHandle;
      readonly agent: string;
      readonly service: string;
    }
  /** A live session goes by another name now, on another link: nothing else about it has changed. */
  | { readonly kind: 'sessionMoved'; readonly from: LinkedSession; readonly to: LinkedSession }
  | { readonly kind: 'sessionClosed'; readonly link: LinkId; readonly session: SessionHandle; readonly code: FailureCode };

export type ConnectorCommand = LinkCommand | ConnectorSessionCommand;

export class ConnectorMachine extends ClientMachine<ConnectorSessionCommand> {
  readonly #services: ReadonlySet<string>;
  readonly #maxSessions: number;
  readonly #sessions = new LinkedSessions();

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: ConnectorInit) {
    const limits = resolveLimits(DEFAULT_CONNECTOR_LIMITS, init.limits);
    super({ ...init, role: 'connector', limits });
    this.#services = new Set(init.services);
    this.#maxSessions = limits.maxSessions;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Ends a live session from this side, without a `sessionClosed`. False when there is none. */
  closeSession(link: LinkId, session: SessionHandle, now: number): boolean {
    if (!this.#sessions.delete(link, session)) return false;
    this.links.get(link)?.send({ type: 'closeSession', session });
    this.links.settle(now);
    return true;
  }

  protected override onEstablished(): void {}

  protected override onReady(link: ConnectorLink, accepted: readonly string[]): void {
    const missing = [...this.#services].filter((service) => !accepted.includes(service));
    if (missing.length === 0) return;
    link.report.event({ level: 'warn', name: 'services_not_accepted', relay: link.relay.name, services: missing });
  }

  // Sessions are the agents' to end: they have to find this connector at its next relay first.
  protected override onDraining(): void {}

  protected override onMoved(): void {}

  protected override onDown(link: ConnectorLink, failure: LinkFailure): void {
    const code = failure.code === 'draining' ? 'draining' : 'connection_lost';
    for (const session of this.#sessions.takeOn(link.id)) this.links.emit({ kind: 'sessionClosed', link: link.id, session, code });
  }

  protected override onStopped(): void {
    for (const { link, session } of this.#sessions.takeAll()) this.links.emit({ kind: 'sessionClosed', link, session, code: 'no_error' });
  }

  protected override isBusy(link: ConnectorLink): boolean {
    return this.#sessions.countOn(link.id) > 0;
  }

  /** Anyone may ask for its services at any time, and a NAT that forgot it keeps them out. */
  protected override isIdle(): boolean {
    return false;
  }

  /** It cannot know: its delays are short for that. */
  protected override isAwaited(): boolean {
    return false;
  }

  protected override onMessage(link: ConnectorLink, message: ControlMessage): boolean {
    switch (message.type) {
      case 'incoming':
        this.#handleIncoming(link, message);
        return true;
      case 'sessionMoved':
        this.#handleSessionMoved(link, message);
        return true;
      case 'sessionClosed':
        this.#handleSessionClosed(link, message);
        return true;
      default:
        return false;
    }
  }

  #handleIncoming(link: ConnectorLink, { session, agent, service }: ControlMessageOf<'incoming'>): void {
    // Not rejected: that would end the session which has this handle.
    if (this.#sessions.has(link.id, session)) return link.report.ignored('warn', 'incoming', 'protocol_error');
    const code = this.#rejection(agent, service);
    if (code !== undefined) return this.#reject(link, session, agent, service, code);
    this.#sessions.add(link.id, session);
    this.links.emit({ kind: 'sessionIncoming', link: link.id, session, agent, service });
    link.send({ type: 'accept', session });
  }

  #rejection(agent: string, service: string): FailureCode | undefined {
    if (!this.#services.has(service)) return 'service_not_served';
    if (this.#sessions.size >= this.#maxSessions) return 'too_many_sessions';
    return this.identityFault(agent, 'agent');
  }

  #reject(link: ConnectorLink, session: SessionHandle, agent: string, service: string, code: FailureCode): void {
    const reason = failureMeaning(code);
    link.send({ type: 'reject', session, code, reason });
    link.report.event({ level: 'warn', name: 'session_rejected', relay: link.relay.name, agent, service, code, reason });
  }

  #handleSessionMoved(link: ConnectorLink, { session, before }: ControlMessageOf<'sessionMoved'>): void {
    if (this.#sessions.has(link.id, session)) return link.report.ignored('warn', 'sessionMoved', 'protocol_error');
    const from = this.links.besides(link).find(({ id }) => this.#sessions.has(id, before))?.id;
    // It ended meanwhile, or was never ours: nobody here would end it at the relay.
    if (from === undefined || !this.#sessions.delete(from, before)) return link.send({ type: 'closeSession', session });
    this.#sessions.add(link.id, session);
    this.links.emit({ kind: 'sessionMoved', from: { link: from, session: before }, to: { link: link.id, session } });
  }

  #handleSessionClosed(link: ConnectorLink, { session, code }: ControlMessageOf<'sessionClosed'>): void {
    // Ordinary when both sides close at once.
    if (!this.#sessions.delete(link.id, session)) return link.report.ignored('debug', 'sessionClosed', 'session_unknown');
    this.links.emit({ kind: 'sessionClosed', link: link.id, session, code });
  }
}

type ConnectorLink = Link<ConnectorSessionCommand>;
