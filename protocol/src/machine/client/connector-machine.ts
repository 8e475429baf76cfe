// The connector's side of the control protocol: takes or rejects the sessions a relay announces.
// Owns which are live; the connection is the link's, and what an agent may do inside a session is
// decided again by the inner handshake, because everything here is the relay's word only.

import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import type { ControlMessage, ControlMessageOf, SessionHandle } from '../../wire/control-messages.js';
import { DEFAULT_CONNECTOR_LIMITS, resolveLimits, type ConnectorLimits } from './client-limits.js';
import { ClientMachine, sessionKey } from './client-machine.js';
import type { LinkCommand, LinkInit } from './link-types.js';

export interface ConnectorInit extends Omit<LinkInit, 'role' | 'limits'> {
  /** Names of the services served; the same that `mintToken` puts into the token. */
  readonly services: Iterable<string>;
  readonly limits?: Partial<ConnectorLimits>;
}

export type ConnectorSessionCommand =
  /** A session is taken; `accept` is sent right after. `agent` is the SPIFFE URI the relay names. */
  | {
      readonly kind: 'sessionIncoming';
      readonly session: SessionHandle;
      readonly agent: string;
      readonly service: string;
    }
  | { readonly kind: 'sessionClosed'; readonly session: SessionHandle; readonly code: FailureCode };

export type ConnectorCommand = LinkCommand | ConnectorSessionCommand;

export class ConnectorMachine extends ClientMachine<ConnectorSessionCommand> {
  readonly #services: ReadonlySet<string>;
  readonly #maxSessions: number;
  readonly #sessions = new Map<string, SessionHandle>();

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
  closeSession(session: SessionHandle): boolean {
    if (!this.#sessions.delete(sessionKey(session))) return false;
    this.link.send({ type: 'closeSession', session });
    return true;
  }

  protected override onEstablished(): void {}

  protected override onReady(accepted: readonly string[]): void {
    const missing = [...this.#services].filter((service) => !accepted.includes(service));
    if (missing.length === 0) return;
    this.link.emitEvent({ level: 'warn', name: 'services_not_accepted', relay: this.relay.name, services: missing });
  }

  protected override onDown(): void {
    this.#closeAll('connection_lost');
  }

  protected override onStopped(): void {
    this.#closeAll('no_error');
  }

  protected override onMessage(message: ControlMessage): boolean {
    switch (message.type) {
      case 'incoming':
        this.#handleIncoming(message);
        return true;
      case 'sessionClosed':
        this.#handleSessionClosed(message);
        return true;
      default:
        return false;
    }
  }

  #handleIncoming({ session, agent, service }: ControlMessageOf<'incoming'>): void {
    const key = sessionKey(session);
    // Not rejected: that would end the session which has this handle.
    if (this.#sessions.has(key)) return this.link.ignore('warn', 'incoming', 'protocol_error');
    const code = this.#rejection(agent, service);
    if (code !== undefined) return this.#reject(session, agent, service, code);
    this.#sessions.set(key, session);
    this.link.emit({ kind: 'sessionIncoming', session, agent, service });
    this.link.send({ type: 'accept', session });
  }

  #rejection(agent: string, service: string): FailureCode | undefined {
    if (!this.#services.has(service)) return 'service_not_served';
    if (this.#sessions.size >= this.#maxSessions) return 'too_many_sessions';
    return this.identityFault(agent, 'agent');
  }

  #reject(session: SessionHandle, agent: string, service: string, code: FailureCode): void {
    const reason = failureMeaning(code);
    this.link.send({ type: 'reject', session, code, reason });
    this.link.emitEvent({ level: 'warn', name: 'session_rejected', relay: this.relay.name, agent, service, code, reason });
  }

  #handleSessionClosed({ session, code }: ControlMessageOf<'sessionClosed'>): void {
    // Ordinary when both sides close at once.
    if (!this.#sessions.delete(sessionKey(session))) return this.link.ignore('debug', 'sessionClosed', 'session_unknown');
    this.link.emit({ kind: 'sessionClosed', session, code });
  }

  #closeAll(code: FailureCode): void {
    for (const session of this.#sessions.values()) this.link.emit({ kind: 'sessionClosed', session, code });
    this.#sessions.clear();
  }
}
