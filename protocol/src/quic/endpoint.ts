// A QUIC endpoint on one datagram socket: connection table, stateless Retry, one timer wheel, flushes.
// The thin driver between sockets and connections; what the bytes mean is its handlers' business.
//
// One turn, for each batch of packets the socket has:
//   1 onPacket    connection id → connection, or Initial → Retry / accept, or a counted drop
//   2 onBatchEnd  each touched connection delivers streams and datagrams to its handler
//   3 flush       each dirty connection's packets leave in runs to one address; its deadline is filed

import { performance } from 'node:perf_hooks';
import { randomBytes } from 'node:crypto';
import type { FailureCode } from '../failure-codes.js';
import type { DatagramReceiver, DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import { EndpointConnection, type ConnectionHandler, type ConnectionOwner } from './endpoint-connection.js';
import { CONNECTION_ID_BYTES, FirstContact, type Admission } from './first-contact.js';
import { PacketRuns } from './packet-runs.js';
import type { PathInfo, QuicConfig } from './port.js';
import { acceptQuic, connectQuic } from './quiche-adapter.js';
import { TimerWheel } from './timer-wheel.js';

const FIXED_BIT = 0x40;
const LONG_HEADER_BIT = 0x80;
/** Twice what the two sides agree on (quiche-adapter.ts): whatever a peer announces, it gets no more ids at once. */
const MAX_CONNECTION_IDS = 16;

/** Why a packet never reached a connection; also the counter's name. */
export const PACKET_DROP_REASONS = [
  'not_quic',
  'unknown_connection',
  'initial_too_small',
  'long_header_malformed',
  'retry_token_invalid',
  'too_many_connections',
  'rejected',
] as const;
export type PacketDropReason = (typeof PACKET_DROP_REASONS)[number];

export interface ServerInit {
  readonly config: QuicConfig;
  /** False only where the carrier has validated the peer already (relay sessions). */
  readonly retry: boolean;
  readonly maxConnections: number;
  /** A peer with a validated address began a handshake; undefined turns it away. */
  accept(peer: SocketAddress): ConnectionHandler | undefined;
}

export interface EndpointInit {
  readonly socket: DatagramSocket;
  readonly server?: ServerInit;
  /** A handler threw: a fault of ours. Its connection ends with `internal_error`; the others go on. Default: a process warning. */
  readonly onHandlerError?: (error: unknown) => void;
}

export class Endpoint implements DatagramReceiver, ConnectionOwner {
  /** Received datagrams are copied out of the binding into this one buffer. */
  readonly scratch = Buffer.allocUnsafeSlow(2048);
  readonly drops: Record<PacketDropReason, number>;
  readonly #socket: DatagramSocket;
  #server: ServerInit | undefined;
  readonly #onHandlerError: (error: unknown) => void;
  readonly #runs: PacketRuns;
  readonly #firstContact: FirstContact;
  readonly #byId = new Map<string, EndpointConnection>();
  readonly #connections = new Set<EndpointConnection>();
  readonly #wheel: TimerWheel<EndpointConnection>;
  turnAt: number;
  #liveCount = 0;
  #touched: EndpointConnection[] = [];
  #dirty: EndpointConnection[] = [];
  #inTurn = false;
  #turnDue = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #closedWith: FailureCode | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor({ socket, server, onHandlerError = warnOfHandlerError }: EndpointInit) {
    this.#socket = socket;
    this.#server = server;
    this.#onHandlerError = onHandlerError;
    const now = performance.now();
    this.turnAt = now;
    this.#runs = new PacketRuns(socket);
    this.#firstContact = new FirstContact(this.#runs, server?.retry ?? true, now);
    this.#wheel = new TimerWheel(now);
    this.drops = Object.fromEntries(PACKET_DROP_REASONS.map((reason) => [reason, 0])) as Record<PacketDropReason, number>;
    socket.start(this);
  }

  get local(): SocketAddress {
    return this.#socket.local;
  }

  /** Connections in the table, draining ones included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Connection ids that lead to a connection. */
  get connectionIdCount(): number {
    return this.#byId.size;
  }

  /** Certificates and CA for handshakes from now on; connections keep what they began with. */
  setServerConfig(config: QuicConfig): void {
    if (this.#server) this.#server = { ...this.#server, config };
  }

  /**
   * Starts a handshake. `serverName` is checked against the peer's certificate. At a closed endpoint the
   * connection ends at once, with the endpoint's code.
   */
  connect(peer: SocketAddress, serverName: string, config: QuicConfig, handler: ConnectionHandler): EndpointConnection {
    const id = randomBytes(CONNECTION_ID_BYTES);
    const quic = connectQuic(serverName, id, this.local, peer, config);
    const connection = new EndpointConnection(quic, false, { from: peer, to: this.local }, this, handler);
    const code = this.#closedWith;
    if (code) {
      this.#liveCount++;
      setImmediate(() => connection.abandon(code));
    } else this.#add(connection, id);
    return connection;
  }

  onPacket(packet: Buffer, host: string, port: number): void {
    if (packet.length < 1 + CONNECTION_ID_BYTES || (packet[0]! & FIXED_BIT) === 0) return this.#drop('not_quic');
    const isLong = (packet[0]! & LONG_HEADER_BIT) !== 0;
    const id = isLong ? longHeaderDestination(packet) : packet.toString('latin1', 1, 1 + CONNECTION_ID_BYTES);
    const connection = this.#byId.get(id) ?? (isLong ? this.#receiveUnknown(packet, host, port) : undefined);
    if (!connection) {
      if (!isLong) this.#drop('unknown_connection');
      return;
    }
    let { path } = connection;
    if (path.from.port !== port || path.from.host !== host) {
      path = this.#pathFrom(host, port);
      connection.sawOtherPath = true;
    }
    if (!connection.quic.receive(packet, path)) this.#drop('rejected');
    if (!connection.isTouched) {
      connection.isTouched = true;
      this.#touched.push(connection);
    }
  }

  onBatchEnd(): void {
    this.#turn();
  }

  markDirty(connection: EndpointConnection): void {
    if (connection.isDirty) return;
    connection.isDirty = true;
    this.#dirty.push(connection);
    if (!this.#inTurn && !this.#turnDue) {
      this.#turnDue = true;
      setImmediate(this.#lateTurn);
    }
  }

  provisionConnectionIds(connection: EndpointConnection): void {
    while (connection.ids.size < MAX_CONNECTION_IDS && connection.quic.connectionIdsLeft() > 0) {
      const id = randomBytes(CONNECTION_ID_BYTES);
      connection.quic.issueConnectionId(id, randomBytes(16).readBigUInt64BE());
      this.#bind(connection, id);
    }
  }

  releaseConnectionId(connection: EndpointConnection, id: Uint8Array): void {
    const key = Buffer.from(id).toString('latin1');
    if (connection.ids.delete(key)) this.#byId.delete(key);
  }

  noticeEnd(): void {
    this.#liveCount--;
    if (this.#liveCount > 0) return;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  noticeHandlerError(error: unknown): void {
    this.#onHandlerError(error);
  }

  /** Sends what every connection holds ready, ends it with `code`, tells the peer, and closes the socket. */
  async close(code: FailureCode): Promise<void> {
    if (this.#closedWith) return;
    this.#closedWith = code;
    for (const connection of this.#connections) {
      this.#runs.flush(connection.quic);
      connection.abandon(code);
      this.#runs.flush(connection.quic);
    }
    clearTimeout(this.#timer);
    this.#connections.clear();
    this.#byId.clear();
    await this.#socket.close();
  }

  /** Resolves once every connection has ended; those that still drain do not count. */
  whenEmpty(): Promise<void> {
    if (this.#liveCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  readonly #lateTurn = (): void => {
    this.#turnDue = false;
    this.#turn();
  };

  #turn(): void {
    if (this.#closedWith || this.#inTurn) return;
    this.#inTurn = true;
    this.turnAt = performance.now();
    const touched = this.#touched;
    this.#touched = [];
    for (const connection of touched) {
      connection.isTouched = false;
      this.#deliver(connection);
      this.markDirty(connection);
    }
    // Handlers of one connection may dirty another; a flush may end a connection. Both append here.
    for (let i = 0; i < this.#dirty.length; i++) this.#settle(this.#dirty[i]!);
    this.#dirty = [];
    this.#inTurn = false;
    this.#armTimer();
  }

  /** Handlers may throw: that is their connection's end and nobody else's. */
  #deliver(connection: EndpointConnection): void {
    try {
      connection.deliver();
    } catch (error) {
      this.noticeHandlerError(error);
      connection.abandon('internal_error');
    }
  }

  /** Flushes a connection, notices its end, files its deadline, forgets it when QUIC is done with it. */
  #settle(connection: EndpointConnection): void {
    connection.isDirty = false;
    if (!this.#connections.has(connection)) return;
    const { quic } = connection;
    this.#runs.flush(quic);
    if (connection.applyPendingClose()) this.#runs.flush(quic);
    if (!connection.hasEnded && (quic.localError() || quic.isClosed())) this.#deliver(connection);
    if (quic.isClosed()) return this.#remove(connection);
    const timeout = quic.timeoutMs();
    // The binding truncates to whole milliseconds: one more, or the timer would come early and spin.
    this.#wheel.schedule(connection, timeout === Infinity ? Infinity : performance.now() + timeout + 1);
  }

  #receiveUnknown(packet: Buffer, host: string, port: number): EndpointConnection | undefined {
    if (!this.#server) return this.#drop('unknown_connection');
    const outcome = this.#firstContact.handle(packet, host, port, performance.now());
    if (outcome === 'answered') return undefined;
    return typeof outcome === 'string' ? this.#drop(outcome) : this.#accept(this.#server, outcome, host, port);
  }

  #accept(server: ServerInit, { id, originalId, clientChosenId }: Admission, host: string, port: number): EndpointConnection | undefined {
    if (this.#closedWith || this.#connections.size >= server.maxConnections) return this.#drop('too_many_connections');
    const path = this.#pathFrom(host, port);
    let connection: EndpointConnection;
    try {
      const handler = server.accept(path.from);
      if (!handler) return this.#drop('too_many_connections');
      connection = new EndpointConnection(acceptQuic(id, originalId, path.to, path.from, server.config), true, path, this, handler);
    } catch (error) {
      this.noticeHandlerError(error);
      return this.#drop('rejected');
    }
    this.#add(connection, id);
    if (!originalId) this.#bind(connection, clientChosenId);
    return connection;
  }

  #add(connection: EndpointConnection, id: Uint8Array): void {
    this.#connections.add(connection);
    this.#liveCount++;
    this.#bind(connection, id);
    try {
      connection.start();
    } catch (error) {
      this.noticeHandlerError(error);
      connection.abandon('internal_error');
    }
    this.markDirty(connection);
  }

  #bind(connection: EndpointConnection, id: Uint8Array): void {
    const key = Buffer.from(id).toString('latin1');
    connection.ids.add(key);
    this.#byId.set(key, connection);
  }

  #remove(connection: EndpointConnection): void {
    this.#wheel.schedule(connection, Infinity);
    for (const key of connection.ids) this.#byId.delete(key);
    this.#connections.delete(connection);
  }

  #pathFrom(host: string, port: number): PathInfo {
    return { from: { host, port }, to: this.local };
  }

  #drop(reason: PacketDropReason): undefined {
    this.drops[reason]++;
  }

  #armTimer(): void {
    const at = this.#wheel.next() ?? Infinity;
    if (at >= this.#timerAt || this.#closedWith) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#onTimer, Math.max(0, at - performance.now()));
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Infinity;
    this.#inTurn = true;
    this.turnAt = performance.now();
    this.#wheel.advance(this.turnAt, (connection) => {
      connection.quic.handleTimeout();
      this.#deliver(connection);
      this.markDirty(connection);
    });
    this.#inTurn = false;
    this.#turn();
  };
}

/** RFC 8999 §5.1: one length byte at offset 5, then the id. Callers made sure of 17 bytes. */
const longHeaderDestination = (packet: Buffer): string => packet.toString('latin1', 6, Math.min(6 + packet[5]!, packet.length));

const warnOfHandlerError = (error: unknown): void => process.emitWarning(error instanceof Error ? error : new Error(String(error)));
