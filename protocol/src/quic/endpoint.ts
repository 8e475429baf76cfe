// A QUIC endpoint on one datagram socket: connection table, stateless Retry, who is accepted, what is dropped.
// The thin driver between sockets and connections; what the bytes mean is its handlers' business.
//
// One turn, for each batch of packets the socket has:
//   1 onPacket    connection id → connection, or Initial → Retry / accept, or a counted drop;
//                 delivers ahead of the batch's end what QUIC might not have room to hold until then
//   2 onBatchEnd  each touched connection delivers streams and datagrams to its handler (endpoint-turns.ts)
//   3 flush       each dirty connection's packets leave in runs to one address; its deadline is filed

import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { FailureCode } from '../failure-codes.js';
import { ADDRESS_CHECK, addressCheckDestination, AddressCheckKind, writeAddressCheck } from './address-check.js';
import { isSameAddress, type DatagramReceiver, type DatagramSocket, type SocketAddress } from '../udp/datagram-socket.js';
import type { ConnectionEnd } from './connection-end.js';
import { EndpointConnection, type ConnectionHandler, type ConnectionOwner } from './endpoint-connection.js';
import type { EndpointInit, ServerChanges, ServerInit } from './endpoint-init.js';
import { EndpointTurns } from './endpoint-turns.js';
import { CONNECTION_ID_BYTES, ConnectionTable, randomConnectionId } from './connection-table.js';
import { FirstContact, type FirstInitial } from './first-contact.js';
import { FIXED_BIT, LONG_HEADER_BIT, longHeaderDestination } from './long-header.js';
import { createPacketDrops, type PacketDropReason, type PacketDrops } from './packet-drops.js';
import { PacketRuns } from './packet-runs.js';
import type { PathInfo, QuicConfig } from './port.js';
import { acceptQuic, connectQuic } from './quiche-adapter.js';
import { ServerHandshakes, type HandshakeCounts } from './server-handshakes.js';
import { StatelessResets } from './stateless-resets.js';
import type { WorkerPlace } from '../wire/control-messages.js';

/** Of the last packet of each connection when its endpoint closes: at 1 % loss one in a million peers misses all three. */
const FAREWELL_COPIES = 2;
const FAREWELL_GAP_MS = 25;

export class Endpoint implements DatagramReceiver, ConnectionOwner {
  /** Received datagrams are copied out of the binding into this one buffer. */
  readonly scratch = Buffer.allocUnsafeSlow(2048);
  readonly drops: PacketDrops = createPacketDrops();
  readonly table: ConnectionTable;
  /** Undefined without a `resetKey`. */
  readonly resets: StatelessResets | undefined;
  readonly isRoaming: boolean;
  readonly #socket: DatagramSocket;
  #server: ServerInit | undefined;
  readonly #onHandlerError: (error: unknown) => void;
  readonly #runs: PacketRuns;
  readonly #firstContact: FirstContact;
  readonly #handshakes = new ServerHandshakes();
  readonly #turns: EndpointTurns;
  #liveCount = 0;
  #closedWith: FailureCode | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor({ socket, server, isRoaming = false, onHandlerError = warnOfHandlerError }: EndpointInit) {
    this.#socket = socket;
    this.isRoaming = isRoaming;
    this.#server = server;
    this.#onHandlerError = onHandlerError;
    this.#runs = new PacketRuns(socket);
    this.table = new ConnectionTable(server?.worker);
    this.resets = server?.resetKey && new StatelessResets(server.resetKey, this.#runs, performance.now(), server.worker, server.resets);
    this.#firstContact = new FirstContact(this.#runs, server ?? { retry: true }, this.resets?.firstId);
    this.#turns = new EndpointTurns({
      flush: (connection) => this.flush(connection),
      isInTable: (connection) => this.table.has(connection),
      remove: (connection) => this.#remove(connection),
      noticeHandlerError: onHandlerError,
    });
    socket.start(this);
  }

  get turnAt(): number {
    return this.#turns.at;
  }

  get local(): SocketAddress {
    return this.#socket.local;
  }

  /** Draining ones included. */
  get connectionCount(): number {
    return this.table.size;
  }

  /** The same without those that have ended and only drain: QUIC keeps them for three probe timeouts (RFC 9000 §10.2). */
  get liveConnectionCount(): number {
    return this.#liveCount;
  }

  /** Connection ids that lead to a connection. */
  get connectionIdCount(): number {
    return this.table.idCount;
  }

  /** How the handshakes of accepted connections went. */
  get handshakes(): Readonly<HandshakeCounts> {
    return this.#handshakes.counts;
  }

  /** Takes hold for handshakes from now on; connections keep what they began with, and nobody is turned out. */
  updateServer(changes: ServerChanges): void {
    if (!this.#server) return;
    this.#server = { ...this.#server, ...changes };
    this.#firstContact.update(changes);
    if (changes.resetKey) this.resets?.setKey(changes.resetKey);
    if (changes.resets) this.resets?.setRate(changes.resets);
  }

  /**
   * Starts a handshake. `serverName` is checked against the peer's certificate. At a closed endpoint the
   * connection ends at once, with the endpoint's code.
   *
   * @param worker the one of the peer's workers to reach; default: any
   */
  connect(peer: SocketAddress, serverName: string, config: QuicConfig, handler: ConnectionHandler, worker?: WorkerPlace): EndpointConnection {
    const id = randomConnectionId();
    const quic = connectQuic(serverName, id, this.local, peer, config, worker);
    const connection = new EndpointConnection(quic, false, { from: peer, to: this.local }, this, handler);
    const code = this.#closedWith;
    if (code) {
      this.#liveCount++;
      setImmediate(() => connection.abandon(code));
    } else this.#add(connection, id);
    return connection;
  }

  onPacket(packet: Buffer, host: string, port: number): void {
    if (packet.length < 1 + CONNECTION_ID_BYTES) return this.#drop('not_quic');
    if ((packet[0]! & FIXED_BIT) === 0) return packet[0] === ADDRESS_CHECK ? this.#receiveAddressCheck(packet, host, port) : this.#drop('not_quic');
    const isLong = (packet[0]! & LONG_HEADER_BIT) !== 0;
    const id = isLong ? longHeaderDestination(packet) : packet.toString('latin1', 1, 1 + CONNECTION_ID_BYTES);
    const connection = this.table.find(id) ?? (isLong ? this.#receiveUnknown(packet, host, port) : undefined);
    if (!connection) {
      if (!isLong) this.#receiveStray(id, packet, host, port);
      return;
    }
    if (connection.idInUse !== id && !isLong && !connection.takesId(id)) return this.#drop('unknown_connection');
    const { peer } = connection;
    if (peer.address.port !== port || peer.address.host !== host) return this.#receiveFromElsewhere(connection, packet, { host, port });
    if (peer.left !== undefined && !isLong && peer.left.keeps(packet)) return;
    this.#feed(connection, packet, peer.path);
  }

  /** A client may have moved, or somebody sends on what it sent: QUIC takes what it can decrypt and has not seen before, wherever it comes from. */
  #receiveFromElsewhere(connection: EndpointConnection, packet: Buffer, address: SocketAddress): void {
    if (!this.isRoaming) {
      if (!connection.acceptsPath(address.host)) return this.#drop('path_refused');
      connection.peer.sawOther = true;
      return this.#feed(connection, packet, { from: address, to: this.local });
    }
    const { peer, quic } = connection;
    const { moves } = peer;
    if (!moves) return this.#drop('path_refused');
    const now = performance.now();
    if (!moves.isDue(now)) return this.#feed(connection, packet, peer.path);
    const before = quic.packetsReceived();
    this.#feed(connection, packet, peer.path);
    if (connection.hasEnded || quic.packetsReceived() === before) return;
    // The challenge is the first that is sent there.
    if (!moves.isOpen(address, now)) peer.renewDestinationId();
    this.#sendAddressCheck(AddressCheckKind.challenge, connection, moves.challenge(address, now), address);
  }

  #receiveAddressCheck(packet: Buffer, host: string, port: number): void {
    const id = addressCheckDestination(packet);
    const connection = id === undefined ? undefined : this.table.find(id);
    if (!connection || connection.hasEnded) return this.#drop('address_check_invalid');
    if (connection.isServer) {
      const address = connection.peer.moves?.handleResponse(packet, host, port, performance.now());
      if (!address) return this.#drop('address_check_invalid');
      connection.peer.moveTo(address);
      return this.#turns.touch(connection);
    }
    const nonce = connection.peer.readChallenge(packet, host, port);
    if (!nonce) return this.#drop('address_check_invalid');
    this.#sendAddressCheck(AddressCheckKind.response, connection, nonce, connection.peer.address);
  }

  #sendAddressCheck(kind: AddressCheckKind, connection: EndpointConnection, nonce: Uint8Array, { host, port }: SocketAddress): void {
    const key = connection.peer.addressKey;
    const length = key && writeAddressCheck(kind, connection.quic.destinationId(), nonce, key, this.#runs.buffer);
    if (length !== undefined) this.#runs.sendOne(length, host, port);
  }

  #feed(connection: EndpointConnection, packet: Buffer, path: PathInfo): void {
    if (!connection.quic.receive(packet, path)) this.#drop('rejected');
    else if (connection.noticeReceived(packet.length)) this.#turns.deliverEarly(connection);
    this.#turns.touch(connection);
  }

  receive(connection: EndpointConnection, packet: Buffer, path: PathInfo): void {
    if (!this.table.has(connection)) return;
    this.#feed(connection, packet, path);
    this.markDirty(connection);
  }

  onBatchEnd(): void {
    this.#turns.run();
  }

  markDirty(connection: EndpointConnection): void {
    this.#turns.markDirty(connection);
  }

  noticeEstablished(connection: EndpointConnection): void {
    this.#handshakes.over(connection, 'completed');
  }

  flush(connection: EndpointConnection): void {
    this.#runs.flush(connection.quic, this.#fixedAddress(connection));
  }

  /** Where everything goes, if it is not QUIC that knows. */
  #fixedAddress(connection: EndpointConnection): SocketAddress | undefined {
    return this.isRoaming ? connection.peer.address : undefined;
  }

  noticeEnd(connection: EndpointConnection, { code }: ConnectionEnd): void {
    this.#handshakes.over(connection, code === 'handshake_timeout' ? 'timedOut' : 'failed');
    this.#liveCount--;
    if (this.#liveCount > 0) return;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  noticeHandlerError(error: unknown): void {
    this.#onHandlerError(error);
  }

  /**
   * Sends what every connection holds ready, ends it with `code`, tells the peer, and closes the socket. Nobody will be there to
   * tell a peer again that missed it, and it would wait for its next ping to notice: so the same packet goes out thrice.
   */
  async close(code: FailureCode): Promise<void> {
    if (this.#closedWith) return;
    this.#closedWith = code;
    this.#turns.stop();
    const repeats: (() => void)[] = [];
    for (const connection of this.table) {
      const isOver = connection.hasEnded;
      this.flush(connection);
      connection.abandon(code);
      const repeat = this.#runs.flushCopied(connection.quic, this.#fixedAddress(connection));
      if (!isOver) repeats.push(repeat);
      this.#remove(connection);
    }
    for (let copy = 0; copy < FAREWELL_COPIES && repeats.length > 0; copy++) {
      await setTimeout(FAREWELL_GAP_MS);
      for (const repeat of repeats) repeat();
    }
    await this.#socket.close();
  }

  /** Resolves once every connection has ended; those that still drain do not count. */
  whenEmpty(): Promise<void> {
    if (this.#liveCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /**
   * A short header with an id that leads nowhere. At a server perhaps of a connection that a crash took, and answered. At
   * a client perhaps that answer: its id is random, and QUIC looks for the token in what it cannot decrypt. A late packet
   * with an id that was retired does decrypt, and QUIC would take it for a fault of the peer.
   */
  #receiveStray(id: string, packet: Buffer, host: string, port: number): void {
    const [only] = this.table;
    if (this.#server) this.resets?.handleStray(packet, host, port, performance.now());
    else if (only && this.table.size === 1 && !this.table.isRetired(id) && isSameAddress(only.peer.address, { host, port })) {
      only.quic.receive(packet, only.peer.path);
      if (only.quic.isClosed()) return this.#turns.touch(only);
    }
    this.#drop('unknown_connection');
  }

  #receiveUnknown(packet: Buffer, host: string, port: number): EndpointConnection | undefined {
    if (!this.#server) return this.#drop('unknown_connection');
    const outcome = this.#firstContact.handle(packet, host, port);
    if (outcome === 'answered') return undefined;
    return typeof outcome === 'string' ? this.#drop(outcome) : this.#accept(this.#server, outcome, host, port);
  }

  /** Nothing is made for a client that is turned away. */
  #accept(server: ServerInit, initial: FirstInitial, host: string, port: number): EndpointConnection | undefined {
    if (this.#closedWith) return this.#drop('too_many_connections');
    const path = { from: { host, port }, to: this.local };
    const now = performance.now();
    const place = server.admission?.admit(path.from, now);
    const opened = typeof place === 'string' ? place : this.#open(server, initial, path);
    if (typeof opened !== 'string') {
      this.#handshakes.begin(opened, typeof place === 'string' ? undefined : place, now);
      this.#add(opened, initial.id);
      if (!initial.originalId) this.table.bind(opened, initial.clientChosenId);
      return opened;
    }
    if (typeof place === 'object') place.release();
    this.#firstContact.refuse(initial, opened, host, port);
    server.onTurnedAway?.(opened, path.from);
    return this.#drop(opened);
  }

  #open(server: ServerInit, { id, originalId }: FirstInitial, path: PathInfo): EndpointConnection | 'too_many_connections' | 'rejected' {
    if (this.table.size >= server.maxConnections) return 'too_many_connections';
    try {
      const handler = server.accept(path.from);
      if (!handler) return 'too_many_connections';
      const family = this.resets?.familyOf(id);
      const quic = acceptQuic(id, originalId, path.to, path.from, server.config, family?.resetToken);
      const connection = new EndpointConnection(quic, true, path, this, handler);
      connection.family = family;
      return connection;
    } catch (error) {
      this.noticeHandlerError(error);
      return 'rejected';
    }
  }

  #add(connection: EndpointConnection, id: Uint8Array): void {
    this.table.add(connection, id);
    if (connection.family) this.resets?.begin(connection.family);
    this.#liveCount++;
    try {
      connection.start();
    } catch (error) {
      this.noticeHandlerError(error);
      connection.abandon('internal_error');
    }
    this.markDirty(connection);
  }

  #remove(connection: EndpointConnection): void {
    this.#turns.forget(connection);
    this.table.remove(connection);
    this.#handshakes.release(connection);
    if (connection.family) this.resets?.forget(connection.family);
  }

  #drop(reason: PacketDropReason): undefined {
    this.drops[reason]++;
  }
}

const warnOfHandlerError = (error: unknown): void => process.emitWarning(error instanceof Error ? error : new Error(String(error)));
