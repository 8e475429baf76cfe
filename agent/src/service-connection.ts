// The way to one service: an inner connection opened on the first flow, shared by all of them, given up
// when idle. Owns its life cycle, the flows that wait for it, and its move to another relay; a connection
// is inner-connection.ts, sessions come from the machine, bytes are the flows' own.
//
//   idle ──flow──► opening (session asked of the relay) ──► handshaking (inner QUIC) ──► ready
//     ▲────────────── session or connection ended; waiting flows try again, a bounded number of times
//
// When the relay drains, a connection without flows ends. One with flows gets a session at the next relay
// as a path and moves there with them; if it cannot (another connector answers there), new flows get a new
// connection and the old one stays for the flows it has.

import {
  failureMeaning,
  failureNumber,
  type ConnectionEnd,
  type FailureCode,
  type LinkId,
  type QuicConfig,
  type Logger,
  type SessionHandle,
} from '@ztna/protocol';
import { InnerConnection, type InnerConnectionInit, type OpenSession } from './inner-connection.js';
import { WaitingFlows, type FlowRequest } from './waiting-flows.js';

/** Sessions a waiting flow may see fail under it before it is told. */
const MAX_ATTEMPTS = 3;
/** From a move that failed for want of a session to the next try. */
const MOVE_RETRY_MS = 2_000;

export interface SessionAnswer {
  onOpened(session: OpenSession): void;
  onFailed(code: FailureCode, reason: string): void;
}

export interface ServiceConnectionInit extends Omit<InnerConnectionInit, 'onReady' | 'onEnd'> {
  readonly log: Logger;
  /** Read at every handshake: may be a getter. */
  readonly config: QuicConfig;
  openSession(service: string, answer: SessionAnswer): void;
  /** Where sessions come from now. */
  currentLink(): LinkId;
  /** Why there is no session yet, for people. */
  describeWait(): string;
}

type State = 'idle' | 'opening' | 'handshaking' | 'ready';

export class ServiceConnection {
  readonly #init: ServiceConnectionInit;
  readonly #waiting = new WaitingFlows(() => this.#whatFor());
  #connection: InnerConnection | undefined;
  /** Connections that new flows no longer use. */
  readonly #left = new Set<InnerConnection>();
  #opening = false;
  #closed = false;
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(init: ServiceConnectionInit) {
    this.#init = init;
  }

  get state(): State {
    if (this.#connection) return this.#connection.isReady ? 'ready' : 'handshaking';
    return this.#opening ? 'opening' : 'idle';
  }

  /** Open flows, and those that wait for the connection. */
  get flowCount(): number {
    return this.#connections().reduce((flows, connection) => flows + connection.flowCount, this.#waiting.size);
  }

  openFlow(request: FlowRequest): void {
    if (this.#connection?.isReady) return this.#startFlow(this.#connection, request);
    if (this.#waiting.add(request) && this.state === 'idle') this.#open();
  }

  handleSessionClosed(link: LinkId, session: SessionHandle, code: FailureCode): void {
    for (const connection of this.#connections()) if (connection.handleSessionClosed(link, session, code)) return;
  }

  /** The link's relay shuts down: connections on it end with their last flow. */
  handleDraining(link: LinkId): void {
    for (const connection of this.#connections()) if (connection.link === link) connection.linger();
  }

  /** Another relay has taken over: the connection follows, with its flows. */
  handleMoved(): void {
    const connection = this.#connection;
    if (!connection?.isReady || connection.isMoving || connection.link === this.#init.currentLink()) return;
    this.#init.openSession(this.#init.service, {
      onOpened: (session) => this.#move(connection, session),
      onFailed: (code, reason) => {
        if (connection.hasEnded || this.#closed) return;
        this.#init.log.info('move_delayed', { service: this.#init.service, code, reason });
        this.#moveLater();
      },
    });
  }

  /** Ends the connection and every flow. */
  close(code: FailureCode): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#refuseWaiting(code, failureMeaning(code));
    for (const connection of this.#connections()) connection.abandon(code);
  }

  #connections(): InnerConnection[] {
    return this.#connection ? [this.#connection, ...this.#left] : [...this.#left];
  }

  #open(): void {
    this.#opening = true;
    this.#attempts++;
    this.#init.openSession(this.#init.service, {
      onOpened: (session) => {
        this.#opening = false;
        if (this.#connection || this.#closed) this.#init.closeSession(session.link, session.session);
        else this.#connect(session);
      },
      onFailed: (code, reason) => {
        this.#opening = false;
        if (!this.#connection) this.#refuseWaiting(code, reason);
      },
    });
  }

  #connect(session: OpenSession): void {
    const { service, log } = this.#init;
    log.debug('session_opened', { service, connector: session.connector });
    const connection = new InnerConnection({
      ...this.#init,
      onReady: () => this.#becomeReady(connection),
      onEnd: (end) => this.#handleEnd(connection, end),
    }, session);
    this.#connection = connection;
  }

  #becomeReady(connection: InnerConnection): void {
    if (connection !== this.#connection) return;
    this.#attempts = 0;
    for (const request of this.#waiting.take()) this.#startFlow(connection, request);
    // The relay may have been left during the handshake.
    this.handleMoved();
  }

  #startFlow(connection: InnerConnection, request: FlowRequest): void {
    const stream = connection.openStream();
    if (stream) request.onOpen(stream, connection.quic, connection.udpFlows);
    else request.onRefused('too_many_flows', failureMeaning('too_many_flows'));
  }

  #move(connection: InnerConnection, session: OpenSession): void {
    const { service, log, closeSession } = this.#init;
    const { flowCount: flows } = connection;
    if (connection !== this.#connection || connection.hasEnded || this.#closed) return closeSession(session.link, session.session);
    connection.moveTo(session, (unused) => {
      const moved = connection.link === session.link;
      if (moved && !connection.hasEnded) log.info('flows_moved', { service, flows, connector: session.connector });
      // The new session ended during the trial.
      if (!moved && !unused && !connection.hasEnded && !this.#closed) this.#moveLater();
      if (!unused) return;
      // The same service, but not the same process: this connection cannot go there.
      if (connection !== this.#connection || this.#closed) return closeSession(unused.link, unused.session);
      log.info('flows_stay', { service, flows, connector: connection.connector });
      this.#left.add(connection);
      connection.linger();
      this.#connect(unused);
    });
  }

  #moveLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.handleMoved(), MOVE_RETRY_MS);
  }

  #handleEnd(connection: InnerConnection, end: ConnectionEnd): void {
    const { service, log } = this.#init;
    const reason = connection.wasReady ? end.reason : describeRefusal(end, connection.connector);
    const quiet = connection.wasReady && (end.code === 'idle_timeout' || end.code === 'no_error');
    log[quiet ? 'debug' : 'info']('service_connection_ended', { service, code: end.code, reason });
    if (this.#left.delete(connection) || connection !== this.#connection) return;
    this.#connection = undefined;
    if (this.#waiting.size === 0) this.#attempts = 0;
    else if (this.#attempts < MAX_ATTEMPTS && isWorthRetrying(end.code)) this.#open();
    else this.#refuseWaiting(end.code, reason);
  }

  #refuseWaiting(code: FailureCode, reason: string): void {
    this.#attempts = 0;
    for (const request of this.#waiting.take()) request.onRefused(code, reason);
  }

  #whatFor(): string {
    if (this.#connection) return `the handshake with connector ${this.#connection.connector}`;
    return this.#init.describeWait();
  }
}

/** A session that was lost may be had again; a connector that refused us, or is not who it should be, will be the same. */
const isWorthRetrying = (code: FailureCode): boolean => RETRIED.has(code);

const RETRIED: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'connector_gone', 'connection_lost', 'session_ended', 'registration_replaced', 'idle_timeout', 'draining', 'no_error',
]);

/** The group 0x20–0x3f of failure-codes.ts. */
const isAboutCertificates = (code: FailureCode): boolean => failureNumber(code) >= 0x20 && failureNumber(code) < 0x40;

/** A handshake that one side ended says which one: the same codes stand for the relay's certificate and for the connector's. */
const describeRefusal = ({ code, reason, by }: ConnectionEnd, connector: string): string => {
  if (!isAboutCertificates(code)) return reason;
  const who = by === 'peer' ? `connector ${connector} refused this agent` : `this agent refused connector ${connector}`;
  return reason === failureMeaning(code) ? who : `${who}: ${reason}`;
};
