// The one file that touches @matrixai/quic: its native quiche object behind port.ts.
// The binding reports faults by throwing `Error(<Debug of quiche::Error>)`; here they become numbers.
// Mutual TLS is fixed here and has no switch: verifyPeer true, verifyAllowFail false, always a CA.

import { quiche } from '@matrixai/quic/native/index.js';
import type { Config, Connection, ConnectionError } from '@matrixai/quic/native/types.js';
import type { SocketAddress } from '../udp/datagram-socket.js';
import { PacketAccount } from './packet-account.js';
import {
  DATAGRAM_QUEUE_FULL,
  DATAGRAM_QUEUED,
  DATAGRAM_TOO_LARGE,
  DATAGRAM_UNSUPPORTED,
  RECEIVE_QUEUE_DATAGRAMS,
  STREAM_BLOCKED,
  STREAM_GONE,
  STREAM_RESET,
  type DatagramOutcome,
  type PathInfo,
  type QuicConfig,
  type QuicConfigInit,
  type QuicConnection,
  type QuicError,
} from './port.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import { leadsTo } from './worker-steering.js';

/** Also how many paths quiche keeps for a connection, and it lets none go by itself: what address-moves.ts goes round. */
const ACTIVE_CONNECTION_ID_LIMIT = 8;
/** Sequence numbers tried for the one in use: those the peer may have issued, out of order. */
const RENEWAL_REACH = 2 * ACTIVE_CONNECTION_ID_LIMIT;
/** Largest UDP payload accepted; senders stay at or below 1350. */
const MAX_RECEIVE_UDP_PAYLOAD = 1500;

const CONGESTION_CONTROL = {
  reno: quiche.CongestionControlAlgorithm.Reno,
  cubic: quiche.CongestionControlAlgorithm.CUBIC,
  bbr: quiche.CongestionControlAlgorithm.BBR,
} as const;

class QuicheConfig implements QuicConfig {
  constructor(
    readonly native: Config,
    readonly alpn: string,
  ) {}
}

/**
 * TLS 1.3 with mutual authentication against the CA(s) in `caPem`, and transport parameters.
 *
 * @throws Error when a PEM does not parse or key and certificate differ; load them with loadTlsMaterial first
 */
export const createQuicConfig = (init: QuicConfigInit): QuicConfig => {
  const native = quiche.Config.withBoringSslCtx(true, false, init.caPem, [init.keyPem], [init.certificatePem], null);
  native.setApplicationProtos([init.alpn]);
  // Greasing would clear the fixed bit, by which packets are told from raw datagrams (RFC 9443 §3).
  native.grease(false);
  native.setMaxIdleTimeout(init.idleTimeoutMs);
  native.setMaxRecvUdpPayloadSize(MAX_RECEIVE_UDP_PAYLOAD);
  native.setMaxSendUdpPayloadSize(init.maxUdpPayload);
  native.setInitialMaxData(init.connectionWindow);
  native.setMaxConnectionWindow(init.connectionWindow);
  native.setInitialMaxStreamDataBidiLocal(init.streamWindow);
  native.setInitialMaxStreamDataBidiRemote(init.streamWindow);
  native.setInitialMaxStreamDataUni(init.noteWindow);
  native.setMaxStreamWindow(init.streamWindow);
  native.setInitialMaxStreamsBidi(init.maxStreams);
  native.setInitialMaxStreamsUni(init.noteWindow > 0 ? 1 : 0);
  native.setActiveConnectionIdLimit(ACTIVE_CONNECTION_ID_LIMIT);
  native.setDisableActiveMigration(false);
  native.setCcAlgorithm(CONGESTION_CONTROL[init.congestionControl]);
  // Pacing needs a timer per packet, which the event loop cannot honour below a millisecond.
  native.enablePacing(false);
  native.enableDgram(true, RECEIVE_QUEUE_DATAGRAMS, init.datagramQueue);
  return new QuicheConfig(native, init.alpn);
};

const nativeConfig = (config: QuicConfig): Config => {
  if (!(config instanceof QuicheConfig)) throw new TypeError('a QuicConfig comes from createQuicConfig');
  return config.native;
};

/**
 * Starts a client connection. `serverName` is never optional: without SNI the host name would go unchecked. QUIC makes up the
 * destination id by itself: with a `worker` connections are made until one has an id that leads there.
 */
export const connectQuic = (
  serverName: string,
  connectionId: Uint8Array,
  local: SocketAddress,
  peer: SocketAddress,
  config: QuicConfig,
  worker?: WorkerPlace,
): QuicConnection => {
  for (;;) {
    const native = quiche.Connection.connect(serverName, connectionId, local, peer, nativeConfig(config));
    if (!worker || leadsTo(native.destinationId(), worker)) return new QuicheConnection(native, peer);
  }
};

/**
 * Accepts a client. `originalId` is the connection id before Retry, and `connectionId` the Retry's own (RFC 9000 §7.3).
 * The client is told `resetToken`, 16 bytes, under the protection of the handshake.
 */
export const acceptQuic = (
  connectionId: Uint8Array,
  originalId: Uint8Array | undefined,
  local: SocketAddress,
  peer: SocketAddress,
  config: QuicConfig,
  resetToken?: Uint8Array,
): QuicConnection => {
  const native = nativeConfig(config);
  // The connection copies it, as all transport parameters: the next one gets its own.
  native.setStatelessResetToken(resetToken ? toU128(resetToken) : null);
  return new QuicheConnection(quiche.Connection.accept(connectionId, originalId, local, peer, native), peer);
};

/** Writes a Retry packet; returns its length. */
export const writeRetry = (
  scid: Uint8Array,
  dcid: Uint8Array,
  newScid: Uint8Array,
  token: Uint8Array,
  version: number,
  into: Uint8Array,
): number => quiche.retry(scid, dcid, newScid, token, version, into);

/** Writes a Version Negotiation packet (RFC 9000 §17.2.1); returns its length. */
export const writeVersionNegotiation = (scid: Uint8Array, dcid: Uint8Array, into: Uint8Array): number =>
  quiche.negotiateVersion(scid, dcid, into);

class QuicheConnection implements QuicConnection {
  readonly account = new PacketAccount();
  sentTo: SocketAddress;
  lastReadFin = false;
  lastStreamError = 0;
  readonly #native: Connection;
  /** Something happened after which the connection may be over: a packet, a timeout, a fault, `close`. */
  #mayBeOver = false;
  /** A fault or `close`: QUIC may hold an error of this side. */
  #mayHaveError = false;
  /** Some datagram was queued since the queue was last seen empty. */
  #mayHaveDatagrams = false;
  /** Packets QUIC had authenticated before the next; -1 while nobody counts. */
  #authentic = -1;
  /** The peer's id in use has a sequence number (RFC 9000 §5.1.1) of no less, and none of those; the binding does not tell which. */
  #firstSequence = 0;
  readonly #retiredSequences = new Set<number>();

  constructor(native: Connection, peer: SocketAddress) {
    this.#native = native;
    this.sentTo = peer;
  }

  /** Whether QUIC authenticated the packet it was given last; only while the account is suspicious. */
  #isAuthentic(): boolean {
    const before = this.#authentic;
    this.#authentic = this.#native.stats().recv;
    return this.#authentic !== before;
  }

  receive(packet: Uint8Array, path: PathInfo): boolean {
    const { isSuspicious } = this.account;
    if (!isSuspicious) this.#authentic = -1;
    else if (this.#authentic < 0) this.#authentic = this.#native.stats().recv;
    this.#mayBeOver = true;
    try {
      this.#native.recv(packet, path);
      if (!isSuspicious || this.#isAuthentic()) this.account.addPacket(packet.length);
      return true;
    } catch {
      this.#mayHaveError = true;
      return false; // a fatal one is in localError()
    }
  }

  send(into: Uint8Array): number {
    let sent: ReturnType<Connection['send']>;
    try {
      sent = this.#native.send(into);
    } catch {
      this.#noteFault();
      return 0;
    }
    if (sent === null) return 0;
    this.sentTo = sent[1].to;
    return sent[0];
  }

  receiveDatagram(into: Uint8Array): number {
    try {
      const length = this.#native.dgramRecv(into);
      if (length === null) return -1;
      this.account.addReceived(length);
      return length;
    } catch {
      // Larger than any datagram we announced room for: take it off the queue and let it fail the header check.
      this.#native.dgramRecvVec();
      return 0;
    }
  }

  datagramsReceived(): number {
    return this.#native.dgramRecvQueueLen();
  }

  datagramsToSend(): number {
    if (!this.#mayHaveDatagrams) return 0;
    const count = this.#native.dgramSendQueueLen();
    this.#mayHaveDatagrams = count > 0;
    return count;
  }

  sendDatagram(payload: Uint8Array): DatagramOutcome {
    try {
      if (this.#native.dgramSend(payload) === null) return DATAGRAM_QUEUE_FULL;
      this.#mayHaveDatagrams = true;
      this.account.addSent(payload.length);
      return DATAGRAM_QUEUED;
    } catch (error) {
      return (error as Error).message === 'BufferTooShort' ? DATAGRAM_TOO_LARGE : DATAGRAM_UNSUPPORTED;
    }
  }

  maxDatagramBytes(): number {
    return this.#native.dgramMaxWritableLen() ?? 0;
  }

  isReadable(): boolean {
    return this.#native.isReadable();
  }

  isStreamReadable(id: number): boolean {
    return this.#native.streamReadable(id);
  }

  readableStreams(): Iterable<number> {
    return this.#native.readable();
  }

  readStream(id: number, into: Uint8Array): number {
    this.lastReadFin = false;
    try {
      const read = this.#native.streamRecv(id, into);
      if (read === null) return STREAM_BLOCKED;
      this.lastReadFin = read[1];
      this.account.addReceived(read[0]);
      return read[0];
    } catch (error) {
      return this.#streamFault(error);
    }
  }

  writeStream(id: number, bytes: Uint8Array, fin: boolean): number {
    try {
      const taken = this.#native.streamSend(id, bytes, fin);
      if (taken === null) return STREAM_BLOCKED;
      this.account.addSent(taken);
      return taken;
    } catch (error) {
      return this.#streamFault(error);
    }
  }

  streamCapacity(id: number): number {
    try {
      return this.#native.streamCapacity(id);
    } catch (error) {
      return this.#streamFault(error);
    }
  }

  resetStream(id: number, code: number): void {
    this.#shutdown(id, quiche.Shutdown.Write, code);
  }

  stopStream(id: number, code: number): void {
    this.#shutdown(id, quiche.Shutdown.Read, code);
  }

  streamsLeft(): number {
    return this.#native.peerStreamsLeftBidi();
  }

  timeoutMs(): number {
    return this.#native.timeout() ?? Infinity;
  }

  handleTimeout(): void {
    this.#mayBeOver = true;
    this.#native.onTimeout();
  }

  ping(): void {
    try {
      this.#native.sendAckEliciting();
    } catch {
      // Only when no path is active: the connection is about to close.
    }
  }

  isEstablished(): boolean {
    return this.#native.isEstablished();
  }

  isResumed(): boolean {
    return this.#native.isResumed();
  }

  isOver(): boolean {
    if (!this.#mayBeOver) return false;
    const native = this.#native;
    if (native.isDraining() || native.isClosed() || (this.#mayHaveError && native.localError() !== null)) return true;
    this.#mayBeOver = false;
    return false;
  }

  isClosed(): boolean {
    return this.#native.isClosed();
  }

  isTimedOut(): boolean {
    return this.#native.isTimedOut();
  }

  peerError(): QuicError | undefined {
    return toQuicError(this.#native.peerError());
  }

  localError(): QuicError | undefined {
    return toQuicError(this.#native.localError());
  }

  close(isApplication: boolean, code: number, reason: string): void {
    this.#noteFault();
    try {
      this.#native.close(isApplication, code, Buffer.from(reason));
    } catch {
      // Already closing.
    }
  }

  peerCertificate(): Uint8Array | undefined {
    return this.#native.peerCertChain()?.[0];
  }

  serverName(): string | undefined {
    return this.#native.serverName() ?? undefined;
  }

  destinationId(): Uint8Array {
    return this.#native.destinationId();
  }

  renewDestinationId(): boolean {
    const before = this.destinationId();
    const retired = this.#retiredSequences;
    for (let sequence = this.#firstSequence; sequence < this.#firstSequence + RENEWAL_REACH; sequence++) {
      // Throws for one that has not come yet, and for the last there is.
      if (retired.has(sequence) || !this.#succeeds(() => this.#native.retireDestinationCid(sequence))) continue;
      retired.add(sequence);
      // Unchanged: that was a spare one, which came late.
      if (!Buffer.from(this.destinationId()).equals(before)) break;
    }
    for (; retired.has(this.#firstSequence); this.#firstSequence++) retired.delete(this.#firstSequence);
    return !Buffer.from(this.destinationId()).equals(before);
  }

  connectionIdsLeft(): number {
    return this.#native.sourceCidsLeft();
  }

  issueConnectionId(id: Uint8Array, resetToken: Uint8Array): void {
    this.#native.newSourceCid(id, toU128(resetToken), false);
  }

  nextRetiredConnectionId(): Uint8Array | undefined {
    return this.#native.retiredScidNext() ?? undefined;
  }

  activePath(): { local: SocketAddress; peer: SocketAddress; rttMs: number } | undefined {
    const active = this.#native.pathStats().find((path) => path.active);
    return active && { local: active.localHost, peer: active.peerHost, rttMs: active.rtt };
  }

  probePath(local: SocketAddress, peer: SocketAddress): boolean {
    return this.#succeeds(() => this.#native.probePath(local, peer));
  }

  isPathValidated(local: SocketAddress, peer: SocketAddress): boolean {
    let validated = false;
    // Throws for a path that is unknown, or was given up.
    return this.#succeeds(() => (validated = this.#native.isPathValidated(local, peer))) && validated;
  }

  migrate(local: SocketAddress, peer: SocketAddress): boolean {
    return this.#succeeds(() => this.#native.migrate(local, peer));
  }

  packetsReceived(): number {
    return this.#native.stats().recv;
  }

  pollPeerMigrated(): SocketAddress | undefined {
    let migrated: SocketAddress | undefined;
    // The binding's type leaves out the null that ends the queue.
    for (let event; (event = this.#native.pathEventNext() as ReturnType<Connection['pathEventNext']> | null); ) {
      // The binding calls the two ends of the path old and new: the peer's is the latter.
      if (event.type === 'PeerMigrated') migrated = event.new;
    }
    return migrated;
  }

  #succeeds(run: () => unknown): boolean {
    try {
      run();
      return true;
    } catch {
      return false;
    }
  }

  #noteFault(): void {
    this.#mayBeOver = true;
    this.#mayHaveError = true;
  }

  #shutdown(id: number, direction: 0 | 1, code: number): void {
    try {
      this.#native.streamShutdown(id, direction, code);
    } catch {
      // Finished already.
    }
  }

  #streamFault(error: unknown): number {
    const match = /^Stream(?:Reset|Stopped)\((\d+)\)$/.exec((error as Error).message);
    if (!match) return STREAM_GONE;
    this.lastStreamError = Number(match[1]);
    return STREAM_RESET;
  }
}

/** As the binding takes 16 bytes; on the wire they are the same again. */
const toU128 = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

const toQuicError = (error: ConnectionError | null): QuicError | undefined =>
  error ? { isApplication: error.isApp, code: error.errorCode, reason: Buffer.from(error.reason).toString('utf8') } : undefined;
