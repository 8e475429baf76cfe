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
import { MIN_INITIAL_BYTES, parseLongHeader, QUIC_V1, type LongHeader } from './long-header.js';
import type { PathInfo, QuicConfig } from './port.js';
import { acceptQuic, connectQuic, writeRetry, writeVersionNegotiation } from './quiche-adapter.js';
import { RetryTokens } from './retry-tokens.js';
import { TimerWheel } from './timer-wheel.js';

/** Our connection ids: 128 random bits, so that none can be guessed or linked (RFC 9000 §5.1). */
const CONNECTION_ID_BYTES = 16;
const FIXED_BIT = 0x40;
const LONG_HEADER_BIT = 0x80;
/** A GSO send takes at most 64 KiB; 44 packets of 1350 bytes fit with room to spare. */
const RUN_BYTES = 60_000;
/** The largest packet a connection may be configured to send. */
const MAX_PACKET_BYTES = 1500;

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
}

export class Endpoint implements DatagramReceiver, ConnectionOwner {
  /** Received datagrams are copied out of the binding into this one buffer. */
  readonly scratch = Buffer.allocUnsafeSlow(2048);
  readonly drops: Record<PacketDropReason, number>;
  readonly #socket: DatagramSocket;
  readonly #server: ServerInit | undefined;
  readonly #retryTokens: RetryTokens;
  readonly #byId = new Map<string, EndpointConnection>();
  readonly #connections = new Set<EndpointConnection>();
  readonly #run = Buffer.allocUnsafeSlow(RUN_BYTES + MAX_PACKET_BYTES);
  readonly #wheel: TimerWheel<EndpointConnection>;
  #touched: EndpointConnection[] = [];
  #dirty: EndpointConnection[] = [];
  #inTurn = false;
  #turnDue = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  constructor({ socket, server }: EndpointInit) {
    this.#socket = socket;
    this.#server = server;
    const now = performance.now();
    this.#retryTokens = new RetryTokens(randomBytes, now);
    this.#wheel = new TimerWheel(now);
    this.drops = Object.fromEntries(PACKET_DROP_REASONS.map((reason) => [reason, 0])) as Record<PacketDropReason, number>;
    socket.start(this);
  }

  get local(): SocketAddress {
    return this.#socket.local;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Starts a handshake. `serverName` is checked against the peer's certificate. */
  connect(peer: SocketAddress, serverName: string, config: QuicConfig, handler: ConnectionHandler): EndpointConnection {
    const id = randomBytes(CONNECTION_ID_BYTES);
    const quic = connectQuic(serverName, id, this.local, peer, config);
    return this.#add(new EndpointConnection(quic, false, { from: peer, to: this.local }, this, handler), id);
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
    while (connection.quic.connectionIdsLeft() > 0) {
      const id = randomBytes(CONNECTION_ID_BYTES);
      connection.quic.issueConnectionId(id, randomBytes(16).readBigUInt64BE());
      this.#bind(connection, id);
    }
  }

  releaseConnectionId(connection: EndpointConnection, id: Uint8Array): void {
    const key = Buffer.from(id).toString('latin1');
    if (connection.ids.delete(key)) this.#byId.delete(key);
  }

  /** Ends every connection with `code`, sends what that takes, and closes the socket. */
  async close(code: FailureCode): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const connection of this.#connections) {
      connection.abandon(code);
      this.#flush(connection);
    }
    clearTimeout(this.#timer);
    this.#connections.clear();
    this.#byId.clear();
    await this.#socket.close();
  }

  /** Resolves once no connection is left, draining ones aside. */
  whenEmpty(): Promise<void> {
    if (this.#liveCount() === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#onEmpty = resolve));
  }

  #liveCount(): number {
    let live = 0;
    for (const connection of this.#connections) if (!connection.hasEnded) live++;
    return live;
  }

  readonly #lateTurn = (): void => {
    this.#turnDue = false;
    this.#turn();
  };

  #turn(): void {
    if (this.#closed || this.#inTurn) return;
    this.#inTurn = true;
    const touched = this.#touched;
    this.#touched = [];
    for (const connection of touched) {
      connection.isTouched = false;
      connection.deliver();
      this.markDirty(connection);
    }
    // Handlers of one connection may dirty another; a flush may end a connection. Both append here.
    for (let i = 0; i < this.#dirty.length; i++) this.#settle(this.#dirty[i]!);
    this.#dirty = [];
    this.#inTurn = false;
    this.#armTimer();
  }

  /** Flushes a connection, notices its end, files its deadline, forgets it when QUIC is done with it. */
  #settle(connection: EndpointConnection): void {
    connection.isDirty = false;
    if (!this.#connections.has(connection)) return;
    this.#flush(connection);
    if (connection.applyPendingClose()) this.#flush(connection);
    const { quic } = connection;
    if (!connection.hasEnded && (quic.localError() || quic.isClosed())) connection.deliver();
    if (quic.isClosed()) return this.#remove(connection);
    const timeout = quic.timeoutMs();
    // The binding truncates to whole milliseconds: one more, or the timer would come early and spin.
    this.#wheel.schedule(connection, timeout === Infinity ? Infinity : performance.now() + timeout + 1);
  }

  #flush({ quic }: EndpointConnection): void {
    const run = this.#run;
    let length = 0;
    let segment = 0;
    let { host, port } = quic.sentTo;
    for (let size; (size = quic.send(length === 0 ? run : run.subarray(length))) > 0; ) {
      const to = quic.sentTo;
      if (length > 0 && (size > segment || to.port !== port || to.host !== host)) {
        // Ends the run: a packet longer than its segments, or one for another address.
        this.#socket.sendRun(run, length, segment, host, port);
        run.copyWithin(0, length, length + size);
        length = 0;
      }
      if (length === 0) {
        segment = size;
        ({ host, port } = to);
      }
      length += size;
      if (size < segment || length > RUN_BYTES - segment) {
        this.#socket.sendRun(run, length, segment, host, port);
        length = 0;
      }
    }
    if (length > 0) this.#socket.sendRun(run, length, segment, host, port);
  }

  #receiveUnknown(packet: Buffer, host: string, port: number): EndpointConnection | undefined {
    const server = this.#server;
    if (!server) return this.#drop('unknown_connection');
    if (packet.length < MIN_INITIAL_BYTES) return this.#drop('initial_too_small');
    const header = parseLongHeader(packet);
    if (!header) return this.#drop('long_header_malformed');
    if (header.version !== QUIC_V1) {
      if (header.version !== 0) this.#reply(writeVersionNegotiation(header.scid, header.dcid, this.#run), host, port);
      return undefined;
    }
    if (header.type !== 0) return this.#drop('unknown_connection');
    if (!server.retry) return this.#accept(server, header, undefined, host, port);
    if (header.token.length === 0) return this.#retry(header, host, port);
    const originalId = this.#retryTokens.open(header.token, host, port, header.dcid, performance.now());
    if (!originalId) return this.#drop('retry_token_invalid');
    return this.#accept(server, header, originalId, host, port);
  }

  #retry(header: LongHeader, host: string, port: number): undefined {
    const id = randomBytes(CONNECTION_ID_BYTES);
    const token = this.#retryTokens.mint(host, port, header.dcid, id, performance.now());
    this.#reply(writeRetry(header.scid, header.dcid, id, token, header.version, this.#run), host, port);
  }

  #accept(server: ServerInit, header: LongHeader, originalId: Buffer | undefined, host: string, port: number): EndpointConnection | undefined {
    if (this.#closed || this.#connections.size >= server.maxConnections) return this.#drop('too_many_connections');
    // After a Retry the client uses the id we chose there; without one we choose it now.
    const id = originalId ? Buffer.from(header.dcid) : randomBytes(CONNECTION_ID_BYTES);
    if (id.length !== CONNECTION_ID_BYTES) return this.#drop('retry_token_invalid');
    const path = this.#pathFrom(host, port);
    const handler = server.accept(path.from);
    if (!handler) return this.#drop('too_many_connections');
    const quic = acceptQuic(id, originalId, path.to, path.from, server.config);
    const connection = this.#add(new EndpointConnection(quic, true, path, this, handler), id);
    // Retransmitted Initials still carry the id the client made up.
    if (!originalId) this.#bind(connection, header.dcid);
    return connection;
  }

  #add(connection: EndpointConnection, id: Uint8Array): EndpointConnection {
    this.#connections.add(connection);
    this.#bind(connection, id);
    connection.start();
    this.markDirty(connection);
    return connection;
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
    if (this.#onEmpty && this.#liveCount() === 0) this.#onEmpty();
  }

  #pathFrom(host: string, port: number): PathInfo {
    return { from: { host, port }, to: this.local };
  }

  #reply(length: number, host: string, port: number): void {
    this.#socket.sendRun(this.#run, length, length, host, port);
  }

  #drop(reason: PacketDropReason): undefined {
    this.drops[reason]++;
  }

  #armTimer(): void {
    const at = this.#wheel.next() ?? Infinity;
    if (at >= this.#timerAt || this.#closed) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#onTimer, Math.max(0, at - performance.now()));
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Infinity;
    this.#inTurn = true;
    this.#wheel.advance(performance.now(), (connection) => {
      connection.quic.handleTimeout();
      connection.deliver();
      this.markDirty(connection);
    });
    this.#inTurn = false;
    this.#turn();
  };
}

/** RFC 8999 §5.1: one length byte at offset 5, then the id. Callers made sure of 17 bytes. */
const longHeaderDestination = (packet: Buffer): string => packet.toString('latin1', 6, Math.min(6 + packet[5]!, packet.length));
