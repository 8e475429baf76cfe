// One inner QUIC connection to a connector of a service, from its handshake to its end, and the relay
// sessions that are its paths: one in use, one that may be on trial, and those it has left and still
// hears on for a moment. Who may open flows on it, and what for, is service-connection.ts.
//
//   handshaking ─► ready ─moveTo: probe, validated─► migrated: same streams, another session

import { performance } from 'node:perf_hooks';
import {
  failureMeaning,
  MOVE_CHECKS_MS,
  serviceDnsName,
  UdpFlowTable,
  type ConnectionEnd,
  type ConnectionHandler,
  type Endpoint,
  type EndpointConnection,
  type FailureCode,
  type LinkId,
  type QuicConfig,
  type QuicStream,
  type SessionCarrier,
  type SessionHandle,
  type SocketAddress,
} from '@ztna/protocol';

/** Far beyond any round trip; QUIC itself would go on trying until the idle timeout. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Three pings fit into the inner idle timeout of 60 s. */
const PING_INTERVAL_MS = 20_000;
/** Of a new path: QUIC sends a challenge again after each loss. */
const PROBE_TIMEOUT_MS = 5_000;
/** How often a path on trial is looked at, and a connection that is to go once its flows are over. */
const LOOK_INTERVAL_MS = 100;
/** More than packets under way take: so long a session that was left stays open, and a connection whose last flow is over. */
const LATE_PACKETS_MS = 2_000;

/** A session of this agent, and what carries it. */
export interface OpenSession {
  readonly link: LinkId;
  readonly session: SessionHandle;
  /** Who the relay says is at the other end: for messages only, the certificate decides. */
  readonly connector: string;
  readonly outer: EndpointConnection;
}

export interface InnerConnectionInit {
  readonly service: string;
  readonly trustDomain: string;
  readonly inner: Endpoint;
  readonly config: QuicConfig;
  readonly carrier: SessionCarrier;
  closeSession(link: LinkId, session: SessionHandle): void;
  onReady(): void;
  /** Called once and last. */
  onEnd(end: ConnectionEnd): void;
}

interface Path extends OpenSession {
  readonly address: SocketAddress;
}

interface Trial {
  readonly path: Path;
  readonly timer: NodeJS.Timeout;
  /** With the session, still open, when the connection did not move to it. */
  readonly onDone: (unused: OpenSession | undefined) => void;
}

export class InnerConnection {
  readonly udpFlows = new UdpFlowTable();
  readonly #init: InnerConnectionInit;
  readonly #connection: EndpointConnection;
  /** By made-up host. */
  readonly #paths = new Map<string, Path>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #active: Path;
  /** Why the session in use ended, while a path on trial may yet replace it. */
  #cutOff: FailureCode | undefined;
  #trial: Trial | undefined;
  #ready = false;
  #lingering = false;

  constructor(init: InnerConnectionInit, session: OpenSession) {
    const { inner, service, trustDomain, config } = init;
    this.#init = init;
    this.#active = this.#addPath(session);
    this.#connection = inner.connect(this.#active.address, serviceDnsName(service, trustDomain), config, this.#handler());
    this.#later(() => {
      if (!this.#ready) this.#connection.abandon('connector_timeout');
    }, HANDSHAKE_TIMEOUT_MS);
  }

  /** Flows can be opened. */
  get isReady(): boolean {
    return this.#ready && !this.#connection.hasEnded;
  }

  /** The handshake was completed with a connector of the service, whatever came after. */
  get wasReady(): boolean {
    return this.#ready;
  }

  get hasEnded(): boolean {
    return this.#connection.hasEnded;
  }

  get flowCount(): number {
    return this.#connection.streamCount;
  }

  /** The link of the session in use. */
  get link(): LinkId {
    return this.#active.link;
  }

  get connector(): string {
    return this.#active.connector;
  }

  get isMoving(): boolean {
    return this.#trial !== undefined;
  }

  get quic(): EndpointConnection {
    return this.#connection;
  }

  openStream(): QuicStream | undefined {
    const stream = this.#connection.openStream();
    if (stream) stream.endMark = true;
    return stream;
  }

  /**
   * Ends it once it has had no flow for as long as the last bytes of one may still be under way. Moving to
   * another session takes that back.
   */
  linger(): void {
    if (this.#lingering) return;
    this.#lingering = true;
    let quietSince = performance.now();
    const look = (): void => {
      if (!this.#lingering || this.#connection.hasEnded) return;
      const now = performance.now();
      if (!this.#ready || this.#trial || this.flowCount > 0) quietSince = now;
      if (now - quietSince >= LATE_PACKETS_MS) this.#connection.abandon('no_error');
      else this.#later(look, LOOK_INTERVAL_MS);
    };
    look();
  }

  /** Tries another session as a path, and moves to it if the same connector answers there. */
  moveTo(session: OpenSession, onDone: Trial['onDone']): void {
    const path = this.#addPath(session);
    const deadline = performance.now() + PROBE_TIMEOUT_MS;
    const isElsewhere = session.connector !== this.connector;
    if (isElsewhere || this.#trial || !this.isReady || !this.#connection.peer.probe(path.address)) {
      this.#dropPath(path);
      return onDone(session);
    }
    const timer = setInterval(() => {
      if (this.#connection.peer.isValidated(path.address)) this.#finishTrial(this.#connection.peer.migrate(path.address));
      else if (performance.now() > deadline) this.#finishTrial(false);
    }, LOOK_INTERVAL_MS);
    this.#trial = { path, timer, onDone };
  }

  /** The relay ended a session. False when it is none of this connection's. */
  handleSessionClosed(link: LinkId, session: SessionHandle, code: FailureCode): boolean {
    const path = [...this.#paths.values()].find((one) => one.link === link && one.session.slot === session.slot && one.session.tag === session.tag);
    if (!path) return false;
    this.#dropPath(path);
    if (this.#trial?.path === path) {
      const cutOff = this.#cutOff;
      this.#endTrial(undefined);
      if (cutOff) this.#connection.abandon(cutOff);
    } else if (this.#active === path && this.#trial) this.#cutOff = code;
    else if (this.#active === path) this.#connection.abandon(code);
    return true;
  }

  abandon(code: FailureCode): void {
    this.#connection.abandon(code);
  }

  #handler(): ConnectionHandler {
    return {
      onEstablished: (connection) => {
        const refusal = this.#checkConnector(connection);
        if (refusal) return connection.close(refusal);
        this.#ready = true;
        const ping = setInterval(() => {
          if (connection.streamCount > 0) connection.ping();
        }, PING_INTERVAL_MS);
        this.#timers.add(ping);
        this.#init.onReady();
      },
      acceptsPath: (_connection, host) => this.#paths.has(host),
      onDatagram: (_connection, payload, length) => this.udpFlows.dispatch(payload.subarray(0, length)),
      onEnd: (_connection, end) => this.#handleEnd(end),
    };
  }

  /** The name in the certificate gave it the right to serve; an agent or relay never has that right. */
  #checkConnector(connection: EndpointConnection): FailureCode | undefined {
    const read = connection.readPeerIdentity();
    if (!read.ok) return read.code;
    return read.identity.role === 'connector' && read.identity.trustDomain === this.#init.trustDomain ? undefined : 'role_not_allowed';
  }

  #finishTrial(moved: boolean): void {
    const { path } = this.#trial!;
    if (!moved) {
      this.#dropPath(path);
      const cutOff = this.#cutOff;
      this.#endTrial(path);
      if (cutOff) this.#connection.abandon(cutOff);
      return;
    }
    const left = this.#active;
    this.#active = path;
    this.#lingering = false;
    for (const ms of MOVE_CHECKS_MS) this.#later(() => this.#connection.peer.recoverFrom(left.address), ms);
    this.#later(() => this.#closePath(left), LATE_PACKETS_MS);
    this.#endTrial(undefined);
  }

  #endTrial(unused: OpenSession | undefined): void {
    const trial = this.#trial;
    if (!trial) return;
    clearInterval(trial.timer);
    this.#trial = undefined;
    this.#cutOff = undefined;
    trial.onDone(unused);
  }

  #handleEnd(end: ConnectionEnd): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const path of [...this.#paths.values()]) this.#closePath(path);
    this.#endTrial(undefined);
    const reason = end.reason || failureMeaning(end.code);
    this.#init.onEnd({ ...end, reason });
  }

  #addPath(session: OpenSession): Path {
    const path = { ...session, address: this.#init.carrier.addSession(session.session, session.outer) };
    this.#paths.set(path.address.host, path);
    return path;
  }

  /** Forgets the path; its session goes on. */
  #dropPath(path: Path): boolean {
    this.#init.carrier.removeSession(path.address.host);
    return this.#paths.delete(path.address.host);
  }

  #closePath(path: Path): void {
    if (this.#dropPath(path)) this.#init.closeSession(path.link, path.session);
  }

  #later(run: () => void, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }
}
