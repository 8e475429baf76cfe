// Registration: from a token to the right to open sessions (agent) or to be asked for them
// (connector). Owns the answer and its consequences; judging the token is the verifier's.

import type { FailureCode } from '../../failure-codes.js';
import type { Drain } from './drain.js';
import type { Registry } from './registry.js';
import type { RelayLimitsReached } from './limits-reached.js';
import type { ControlMessageOf } from '../../wire/control-messages.js';
import type { Registration, RelayConnection } from './relay-connection.js';
import type { RelayLimits } from './relay-limits.js';
import { clipReason, type RelayOutbox } from './relay-outbox.js';
import type { TokenVerifier } from './token-verifier.js';

/** Closes a connection and ends what it holds. */
export type CloseConnection = (connection: RelayConnection, code: FailureCode, reason: string, now: number) => void;

export interface RegistrarComponents {
  readonly registry: Registry;
  readonly outbox: RelayOutbox;
  readonly drain: Drain;
  readonly limits: RelayLimits;
  readonly limitsReached: RelayLimitsReached;
  readonly verifyToken: TokenVerifier;
  readonly wallClock: () => number;
  readonly close: CloseConnection;
  /** Gives the sessions of one connection to another of the same identity; returns how many. */
  readonly moveSessions: (from: RelayConnection, to: RelayConnection, now: number) => number;
}

export class Registrar {
  readonly #components: RegistrarComponents;

  constructor(components: RegistrarComponents) {
    this.#components = components;
  }

  /**
   * Answers `register`. A refusal leaves an earlier registration of the connection as it was; an
   * acceptance replaces its services, for new sessions: those that are open stay.
   */
  register(connection: RelayConnection, { token, takeOver = false }: Pick<ControlMessageOf<'register'>, 'token' | 'takeOver'>, now: number): void {
    const { drain, verifyToken, wallClock, limits, limitsReached } = this.#components;
    // Not the client's failure, so it doesn't count against it, and the token stays unused.
    if (drain.active) return this.#nack(connection, 'draining', 'this relay is shutting down', false);
    // Before the signature check, which is what the bucket is for.
    if (!connection.limits.registrations.take(now)) {
      limitsReached.registrations += 1;
      return this.#nack(connection, 'rate_limited', 'registers more often than its rate allows', false);
    }
    const { identity, fingerprint, certificateServices } = connection.peer;
    const verdict = verifyToken(token, { identity, fingerprint, certificateServices, nowEpochMs: wallClock() });
    if (!verdict.ok) return this.#refuse(connection, verdict.code, verdict.reason, now);
    const services = new Set(verdict.services);
    if (services.size > limits.maxServicesPerRegistration) {
      limitsReached.servicesPerRegistration += 1;
      const reason = `${services.size} services, at most ${limits.maxServicesPerRegistration} are allowed`;
      return this.#refuse(connection, 'too_many_services', reason, now);
    }
    this.#accept(connection, { services, keyId: verdict.keyId }, takeOver, now);
  }

  #accept(connection: RelayConnection, registration: Registration, takeOver: boolean, now: number): void {
    const { registry, outbox } = this.#components;
    const { services, keyId } = registration;
    const { id: conn, uri: identity } = connection;
    connection.registration = registration;
    connection.failedRegistrations = 0;
    outbox.send(connection, { type: 'registerAck', services: [...services] });
    outbox.event({ level: 'info', name: 'registration_accepted', conn, identity, keyId, services: [...services] });
    if (!connection.isConnector) return;
    const older = registry.registered(identity);
    const replaced = older === connection ? undefined : older;
    // The new registration stands before the old one's sessions end, so that pending opens move over.
    if (replaced !== undefined) registry.remove(replaced);
    registry.set(connection, services);
    if (replaced === undefined) return;
    if (takeOver) this.#takeOver(replaced, connection, now);
    else this.#replace(replaced, connection, now);
  }

  /**
   * The client has renewed its connection: the older one keeps nothing, and is the client's to close, as what is under way on
   * it may arrive after the answer on this one.
   */
  #takeOver(older: RelayConnection, newer: RelayConnection, now: number): void {
    older.registration = undefined;
    const sessions = this.#components.moveSessions(older, newer, now);
    this.#components.outbox.event({ level: 'info', name: 'registration_moved', conn: older.id, identity: older.uri, by: newer.id, sessions });
  }

  #replace(older: RelayConnection, newer: RelayConnection, now: number): void {
    const { outbox, close } = this.#components;
    const code = 'registration_replaced';
    outbox.event({ level: 'warn', name: code, conn: older.id, identity: older.uri, code, by: newer.id });
    close(older, code, 'a newer connection registered this identity', now);
  }

  #refuse(connection: RelayConnection, code: FailureCode, reason: string, now: number): void {
    const { limits, limitsReached, close } = this.#components;
    connection.failedRegistrations += 1;
    const closing = connection.failedRegistrations >= limits.maxFailedRegistrations;
    this.#nack(connection, code, reason, closing);
    if (!closing) return;
    limitsReached.failedRegistrations += 1;
    close(connection, code, `${connection.failedRegistrations} registrations refused in a row`, now);
  }

  #nack(connection: RelayConnection, code: FailureCode, text: string, closing: boolean): void {
    const { outbox } = this.#components;
    const { id: conn, uri: identity } = connection;
    const reason = clipReason(text);
    outbox.send(connection, { type: 'registerNack', code, reason });
    outbox.event({ level: 'warn', name: 'registration_refused', conn, identity, code, reason, closing });
  }
}
