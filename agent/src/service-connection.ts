// The inner connection to one service: opened on the first flow, shared by all of them, given up
// when idle. Owns its life cycle and the flows that wait for it; sessions come from the machine,
// bytes are the flows' own.
//
//   idle ──flow──► opening (session asked of the relay) ──► handshaking (inner QUIC) ──► ready
//     ▲────────────── session or connection ended; waiting flows try again, a bounded number of times

import {
  failureMeaning,
  failureNumber,
  readCertificateIdentity,
  serviceDnsName,
  UdpFlowTable,
  type ConnectionEnd,
  type ConnectionHandler,
  type Endpoint,
  type EndpointConnection,
  type FailureCode,
  type Logger,
  type QuicConfig,
  type QuicStream,
  type SessionCarrier,
  type SessionHandle,
} from '@ztna/protocol';

/** Flows that may wait for one service before more are refused. */
const MAX_WAITING_FLOWS = 1024;
/** Sessions a waiting flow may see fail under it before it is told. */
const MAX_ATTEMPTS = 3;
/** Far beyond any round trip; QUIC itself would go on trying until the idle timeout. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Three pings fit into the inner idle timeout of 60 s. */
const PING_INTERVAL_MS = 20_000;

export interface FlowRequest {
  /** A stream of an authenticated connection to the service. Called once, unless `onRefused` is. */
  onOpen(stream: QuicStream, connection: EndpointConnection, udpFlows: UdpFlowTable): void;
  onRefused(code: FailureCode, reason: string): void;
}

export interface ServiceConnectionInit {
  readonly service: string;
  readonly trustDomain: string;
  readonly inner: Endpoint;
  readonly config: QuicConfig;
  readonly carrier: SessionCarrier;
  readonly log: Logger;
  openSession(service: string): void;
  closeSession(session: SessionHandle): void;
}

type State = 'idle' | 'opening' | 'handshaking' | 'ready';

export class ServiceConnection {
  readonly #init: ServiceConnectionInit;
  #state: State = 'idle';
  #waiting: FlowRequest[] = [];
  #attempts = 0;
  #session: SessionHandle | undefined;
  /** Who the relay says is at the other end: for messages only, the certificate decides. */
  #connector = '';
  #connection: EndpointConnection | undefined;
  #udpFlows = new UdpFlowTable();
  #timer: NodeJS.Timeout | undefined;

  constructor(init: ServiceConnectionInit) {
    this.#init = init;
  }

  get state(): State {
    return this.#state;
  }

  openFlow(request: FlowRequest): void {
    if (this.#state === 'ready') return this.#startFlow(request);
    if (this.#waiting.length >= MAX_WAITING_FLOWS) return request.onRefused('too_many_flows', failureMeaning('too_many_flows'));
    this.#waiting.push(request);
    if (this.#state === 'idle') this.#open();
  }

  handleSessionOpened(session: SessionHandle, connector: string, outer: EndpointConnection): void {
    const { inner, carrier, service, trustDomain, config, log } = this.#init;
    if (this.#state !== 'opening') return this.#init.closeSession(session);
    this.#state = 'handshaking';
    this.#session = session;
    this.#connector = connector;
    const peer = carrier.addSession(session, outer);
    log.debug('session_opened', { service, connector });
    this.#connection = inner.connect(peer, serviceDnsName(service, trustDomain), config, this.#handler());
    this.#timer = setTimeout(() => this.#connection?.abandon('connector_timeout'), HANDSHAKE_TIMEOUT_MS);
  }

  handleSessionFailed(code: FailureCode, reason: string): void {
    if (this.#state !== 'opening') return;
    this.#state = 'idle';
    this.#refuseWaiting(code, reason);
  }

  /** The relay ended the session: nothing can cross it any more, so the connection ends with it. */
  handleSessionClosed(session: SessionHandle, code: FailureCode): void {
    if (this.#session?.slot !== session.slot || this.#session.tag !== session.tag) return;
    this.#session = undefined;
    this.#init.carrier.removeSession(session.slot);
    this.#connection?.abandon(code);
  }

  /** Ends the connection and every flow. */
  close(code: FailureCode): void {
    this.#refuseWaiting(code, failureMeaning(code));
    this.#connection?.abandon(code);
  }

  #open(): void {
    this.#state = 'opening';
    this.#attempts++;
    this.#init.openSession(this.#init.service);
  }

  #handler(): ConnectionHandler {
    return {
      onEstablished: (connection) => {
        const refusal = this.#checkConnector(connection);
        if (refusal) return connection.close(refusal);
        this.#becomeReady();
      },
      onDatagram: (_connection, payload, length) => this.#udpFlows.dispatch(payload.subarray(0, length)),
      onEnd: (_connection, end) => this.#handleEnd(end),
    };
  }

  /** The name in the certificate gave it the right to serve; an agent or relay never has that right. */
  #checkConnector(connection: EndpointConnection): FailureCode | undefined {
    const read = readCertificateIdentity(connection.quic.peerCertificate() ?? new Uint8Array(0));
    if (!read.ok) return read.code;
    return read.identity.role === 'connector' && read.identity.trustDomain === this.#init.trustDomain
      ? undefined
      : 'role_not_allowed';
  }

  #becomeReady(): void {
    this.#state = 'ready';
    this.#attempts = 0;
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => {
      if (this.#connection?.streamCount) this.#connection.ping();
    }, PING_INTERVAL_MS);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const request of waiting) this.#startFlow(request);
  }

  #startFlow(request: FlowRequest): void {
    const stream = this.#connection?.openStream();
    if (stream) stream.endMark = true;
    if (stream && this.#connection) request.onOpen(stream, this.#connection, this.#udpFlows);
    else request.onRefused('too_many_flows', failureMeaning('too_many_flows'));
  }

  #handleEnd(end: ConnectionEnd): void {
    const wasReady = this.#state === 'ready';
    const reason = this.#state === 'handshaking' ? describeRefusal(end, this.#connector) : end.reason;
    clearTimeout(this.#timer);
    this.#connection = undefined;
    this.#udpFlows = new UdpFlowTable();
    this.#state = 'idle';
    if (this.#session) {
      this.#init.carrier.removeSession(this.#session.slot);
      this.#init.closeSession(this.#session);
      this.#session = undefined;
    }
    const idle = wasReady && end.code === 'idle_timeout';
    this.#init.log[idle ? 'debug' : 'info']('service_connection_ended', { service: this.#init.service, code: end.code, reason });
    if (this.#waiting.length === 0) this.#attempts = 0;
    else if (this.#attempts < MAX_ATTEMPTS && isWorthRetrying(end.code)) this.#open();
    else this.#refuseWaiting(end.code, reason);
  }

  #refuseWaiting(code: FailureCode, reason: string): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#attempts = 0;
    for (const request of waiting) request.onRefused(code, reason);
  }
}

/** A session that was lost may be had again; a connector that refused us, or is not who it should be, will be the same. */
const isWorthRetrying = (code: FailureCode): boolean =>
  code === 'connector_gone' || code === 'connection_lost' || code === 'session_ended' || code === 'registration_replaced' || code === 'idle_timeout';

/** The group 0x20–0x3f of failure-codes.ts. */
const isAboutCertificates = (code: FailureCode): boolean => failureNumber(code) >= 0x20 && failureNumber(code) < 0x40;

/** A handshake that one side ended says which one: the same codes stand for the relay's certificate and for the connector's. */
const describeRefusal = ({ code, reason, by }: ConnectionEnd, connector: string): string => {
  if (!isAboutCertificates(code)) return reason;
  const who = by === 'peer' ? `connector ${connector} refused this agent` : `this agent refused connector ${connector}`;
  return reason === failureMeaning(code) ? who : `${who}: ${reason}`;
};
