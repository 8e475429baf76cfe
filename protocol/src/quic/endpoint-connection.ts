// One QUIC connection at an endpoint: its datagrams and life cycle, turned into handler calls; its streams are connection-streams.ts,
// its peer's address peer-path.ts. The endpoint feeds it packets and flushes it; it does no I/O of its own.

import { readCertificateIdentity } from '../config/certificate-identity.js';
import { failureNumber, failureMeaning, type FailureCode } from '../failure-codes.js';
import type { SocketAddress } from '../udp/datagram-socket.js';
import { clipText } from '../wire/clip-text.js';
import { AckDebt } from './ack-debt.js';
import type { Place } from './admission.js';
import { MAX_REASON_LENGTH, readConnectionEnd, type ConnectionEnd } from './connection-end.js';
import type { ConnectionFamily } from './connection-families.js';
import { ConnectionStreams, type StreamsHost } from './connection-streams.js';
import type { ConnectionTable } from './connection-table.js';
import { PeerPath, type PathHost } from './peer-path.js';
import { RECEIVE_QUEUE_DATAGRAMS, type DatagramOutcome, type PathInfo, type QuicConnection } from './port.js';
import type { QuicStream } from './quic-stream.js';
import { TimerFiling, type TimerEntry } from './timer-wheel.js';

/** The least a datagram takes in a packet: type and a length of one byte (RFC 9221 §4). */
const MIN_DATAGRAM_FRAME_BYTES = 2;

/**
 * What happens on a connection. After `close` only `onEnd` follows. A handler that throws ends its
 * connection with `internal_error`.
 */
export interface ConnectionHandler {
  /** The connection exists; its handshake has yet to run. */
  onStart?(connection: EndpointConnection): void;
  /** The handshake is complete and the peer's certificate verified against the pinned CA. */
  onEstablished(connection: EndpointConnection): void;
  /** `payload` is the endpoint's own buffer: valid during the call, free to be overwritten. */
  onDatagram?(connection: EndpointConnection, payload: Buffer, length: number): void;
  /** The peer opened a stream; set its handler before returning. */
  onStream?(connection: EndpointConnection, stream: QuicStream): void;
  /** All that this batch of packets brought has been delivered. */
  onDelivered?(connection: EndpointConnection): void;
  /** What congestion control allowed was sent; QUIC may have room for more datagrams, which `flush` sends. */
  onFlushed?(connection: EndpointConnection): void;
  /**
   * Packets of this connection came from another address: may they be of it? Called for each such packet,
   * before QUIC sees it. Default: yes; QUIC itself moves nowhere without validating the path.
   */
  acceptsPath?(connection: EndpointConnection, host: string): boolean;
  /** The peer's address changed (NAT rebinding or migration) and the new path is validated. */
  onMigrated?(connection: EndpointConnection, before: SocketAddress): void;
  /** Called once and last, whether or not the connection was ever established. */
  onEnd(connection: EndpointConnection, end: ConnectionEnd): void;
}

/** What a connection needs of its endpoint. */
export interface ConnectionOwner {
  readonly scratch: Buffer;
  /** When the turn under way began, ms: the time of everything in it. */
  readonly turnAt: number;
  markDirty(connection: EndpointConnection): void;
  readonly table: Pick<ConnectionTable, 'provision' | 'unbind'>;
  readonly isRoaming: boolean;
  /** The handshake is complete. */
  noticeEstablished(connection: EndpointConnection): void;
  flush(connection: EndpointConnection): void;
  /** A connection has ended; it may drain for a while yet. */
  noticeEnd(connection: EndpointConnection, end: ConnectionEnd): void;
  noticeHandlerError(error: unknown): void;
  /** Feeds QUIC a packet outside of a batch. */
  receive(connection: EndpointConnection, packet: Buffer, path: PathInfo): void;
}

export class EndpointConnection implements TimerEntry, StreamsHost, PathHost {
  readonly quic: QuicConnection;
  readonly isServer: boolean;
  readonly peer: PeerPath;
  readonly #owner: ConnectionOwner;
  readonly #handler: ConnectionHandler;
  readonly #streams: ConnectionStreams;
  #established = false;
  #ended = false;
  #localClose: { readonly code: FailureCode; readonly reason: string } | undefined;
  #isClosePending = false;
  readonly #ackDebt = new AckDebt();
  #isDelivering = false;
  /** The packets of this turn brought datagrams or stream bytes. */
  #broughtPayload = false;
  /** Bytes of packets that can be fed to QUIC before its receive queue may overflow. */
  #receiveAllowance = RECEIVE_QUEUE_DATAGRAMS * MIN_DATAGRAM_FRAME_BYTES;

  // The endpoint's bookkeeping, kept here so that the datagram path needs no lookups.
  due = Infinity;
  readonly filing = new TimerFiling();
  isDirty = false;
  isTouched = false;
  /** Something came from the peer, be it a Retry. */
  hasHeard = false;
  readonly ids = new Set<string>();
  /** Of ours, that of the last packet with a short header. */
  idInUse = '';
  /** Accepted and not established yet. */
  isHandshaking = false;
  /** When a handshake that is not complete is ended, in ms of the endpoint's clock. */
  handshakeDue = Infinity;
  place: Place | undefined;
  /** At a server that can take back its connections after a restart. */
  family: ConnectionFamily | undefined;

  constructor(quic: QuicConnection, isServer: boolean, path: PathInfo, owner: ConnectionOwner, handler: ConnectionHandler) {
    this.quic = quic;
    this.isServer = isServer;
    this.peer = new PeerPath(path, this);
    this.#owner = owner;
    this.#handler = handler;
    this.#streams = new ConnectionStreams(this);
  }

  get isEstablished(): boolean {
    return this.#established && !this.#ended;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Handlers are to hear of input: any of them may have closed the connection meanwhile. */
  get isLive(): boolean {
    return this.#established && !this.#localClose && !this.#ended;
  }

  /** For the streams: the endpoint's buffer, free to be overwritten. */
  get scratch(): Buffer {
    return this.#owner.scratch;
  }

  /** DER of the peer's leaf certificate, the one TLS verified; empty before the handshake is complete. */
  get peerCertificate(): Uint8Array {
    return this.quic.peerCertificate() ?? new Uint8Array(0);
  }

  /** Whom that certificate speaks for. Parses it: ask once. */
  readPeerIdentity(): ReturnType<typeof readCertificateIdentity> {
    return readCertificateIdentity(this.peerCertificate);
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Opens a stream, or returns undefined while the peer allows no more. */
  openStream(): QuicStream | undefined {
    return this.isEstablished ? this.#streams.open() : undefined;
  }

  /** When the endpoint's turn under way began, in milliseconds of `performance.now()`: the clock of the datagram path. */
  get turnAt(): number {
    return this.#owner.turnAt;
  }

  /**
   * For a stream that was read and written to its end: resolves with true once the peer has acknowledged all of it,
   * with false when the connection ends before that. Ending the connection earlier would lose what is still to be sent again.
   */
  whenAcknowledged(stream: QuicStream): Promise<boolean> {
    return this.#ended ? Promise.resolve(false) : this.#streams.whenAcknowledged(stream);
  }

  sendDatagram(payload: Uint8Array): DatagramOutcome {
    const outcome = this.quic.sendDatagram(payload);
    this.markDirty();
    return outcome;
  }

  /** Sends now what congestion control allows, ahead of the end of the turn. Not from `onStart`, nor within a flush. */
  flush(): void {
    if (!this.#ended) this.#owner.flush(this);
  }

  acceptsPath(host: string): boolean {
    return this.#handler.acceptsPath?.(this, host) ?? true;
  }

  /** For the peer's path: a packet that was kept back. */
  receive(packet: Buffer, path: PathInfo): void {
    this.#owner.receive(this, packet, path);
  }

  /** Keeps the connection from idling out. */
  ping(): void {
    this.quic.ping();
    this.markDirty();
  }

  /**
   * Sends what streams hold ready and the congestion window takes, then closes with an application code; only
   * `onEnd` is called after that, at the endpoint's next turn. What is lost on the way is not sent again.
   */
  close(code: FailureCode, reason: string = failureMeaning(code)): void {
    if (this.#localClose || this.#ended) return;
    this.#localClose = { code, reason: clipText(reason, MAX_REASON_LENGTH) };
    this.#isClosePending = true;
    this.#owner.markDirty(this);
  }

  /** For the endpoint, after a flush: closes now if `close` was called. True when there is something to flush. */
  applyPendingClose(): boolean {
    if (!this.#localClose || !this.#isClosePending) return false;
    this.#isClosePending = false;
    this.quic.close(true, failureNumber(this.#localClose.code), this.#localClose.reason);
    return true;
  }

  markDirty(): void {
    if (!this.#ended) this.#owner.markDirty(this);
  }

  /** A window update may be due: in a turn it may wait as its acknowledgements may, of the window more than half is left. */
  noticeRead(): void {
    if (!this.#isDelivering) this.markDirty();
  }

  noticeStream(stream: QuicStream): void {
    this.#handler.onStream?.(this, stream);
  }

  noticeMoved(before: SocketAddress): void {
    this.#handler.onMigrated?.(this, before);
  }

  /** For the endpoint: the connection is in its table. */
  start(): void {
    this.#handler.onStart?.(this);
  }

  /** For the endpoint: the connection was flushed. */
  noticeFlushed(): void {
    this.#ackDebt.settle();
    if (!this.isLive) return;
    this.#streams.noticeFlushed();
    this.#handler.onFlushed?.(this);
  }

  /** For the endpoint: the time it was filed under has come; a flush follows. */
  handleTimer(): void {
    this.#ackDebt.handleTimer();
    this.quic.handleTimeout();
  }

  /**
   * For the endpoint, at the end of a turn in which packets came: whether the flush may wait for ACK_DELAY_MS, because
   * all it could send is an acknowledgement. Packets without payload are flushed for at once: they may have acknowledged
   * something, and so made room, or ask for an answer.
   */
  mayPutOffFlush(): boolean {
    const broughtPayload = this.#broughtPayload;
    this.#broughtPayload = false;
    return (
      broughtPayload &&
      this.#ackDebt.mayWait &&
      this.isLive &&
      !this.peer.sawOther &&
      !this.#streams.isHeldBack &&
      this.quic.datagramsToSend() === 0
    );
  }

  /**
   * For the endpoint: QUIC was fed so many bytes. True when its receive queue may overflow before the end of the
   * batch: `deliver` now. QUIC is asked only once so many bytes came that they could have filled the queue.
   */
  noticeReceived(bytes: number): boolean {
    this.#ackDebt.addPacket();
    this.#receiveAllowance -= bytes;
    if (this.#receiveAllowance > 0) return false;
    const room = RECEIVE_QUEUE_DATAGRAMS - this.quic.datagramsReceived();
    const isFilling = room * 2 < RECEIVE_QUEUE_DATAGRAMS;
    this.#receiveAllowance = (isFilling ? RECEIVE_QUEUE_DATAGRAMS : room) * MIN_DATAGRAM_FRAME_BYTES;
    return isFilling;
  }

  /** For the endpoint: hands everything that packets or timers brought to the handlers. */
  deliver(): void {
    if (this.#ended) return;
    this.#isDelivering = true;
    try {
      this.#deliverAll();
    } finally {
      this.#isDelivering = false;
    }
  }

  #deliverAll(): void {
    const { quic } = this;
    if (!this.#established && !this.#localClose && quic.isEstablished()) this.#establish();
    if (this.isLive) this.#deliverDatagrams();
    if (this.isLive && quic.isReadable()) this.#deliverReadable();
    if (this.isLive) this.#streams.deliverWritable();
    if (this.isLive) this.peer.deliverMoves();
    this.#streams.settleAcknowledged();
    if (!this.#ended) this.#handler.onDelivered?.(this);
  }

  /**
   * For the endpoint: a packet has come with another id than the one before. The one before may have had the peer retire this
   * one, in the same batch: a late packet, which quiche 0.18 would end the connection for.
   */
  takesId(id: string): boolean {
    this.replaceRetiredIds();
    if (!this.ids.has(id)) return false;
    this.idInUse = id;
    return true;
  }

  /** For the endpoint, ahead of a flush: takes back the connection ids that the peer retired, and gives it others. */
  replaceRetiredIds(): void {
    if (!this.isLive) return;
    for (let id; (id = this.quic.nextRetiredConnectionId()); ) {
      this.#owner.table.unbind(this, id);
      this.#owner.table.provision(this);
    }
  }

  /** For the endpoint, after a flush: whether QUIC says that it is over. */
  checkEnd(): void {
    if (!this.#ended && this.quic.isOver()) this.#end(this.#readEnd());
  }

  /** Ends at once, without waiting for the network; the peer is told with the next flush. */
  abandon(code: FailureCode): void {
    if (this.#ended) return;
    this.close(code);
    this.applyPendingClose();
    this.#end({ code, reason: failureMeaning(code), by: 'local' });
  }

  /** Before the handshake is complete QUIC hides an application's code from the peer, and from us too (RFC 9000 §10.2.3). */
  #readEnd(): ConnectionEnd {
    const end = readConnectionEnd(this.quic, this.#established);
    return this.#localClose && end.by === 'local' ? { ...this.#localClose, by: 'local' } : end;
  }

  #establish(): void {
    // A resumed session shows no certificate and so would outlive its expiry and revocation.
    if (this.quic.isResumed()) {
      this.close('resumption_refused');
      return;
    }
    this.#established = true;
    if (this.isServer && this.#owner.isRoaming) this.peer.allowMoves();
    this.#owner.noticeEstablished(this);
    this.#owner.table.provision(this);
    this.#handler.onEstablished(this);
  }

  #deliverDatagrams(): void {
    const { scratch } = this.#owner;
    for (let length; this.isLive && (length = this.quic.receiveDatagram(scratch)) >= 0; ) {
      this.#broughtPayload = true;
      this.#handler.onDatagram?.(this, scratch, length);
    }
  }

  #deliverReadable(): void {
    this.#broughtPayload = true;
    this.#streams.deliverReadable();
  }

  /** Tells every stream and then the handler, whatever any of them throws. */
  #end(end: ConnectionEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.peer.stop();
    this.#streams.end(end.code, (run) => this.#contain(run));
    this.#contain(() => this.#handler.onEnd(this, end));
    this.#owner.noticeEnd(this, end);
  }

  #contain(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#owner.noticeHandlerError(error);
    }
  }
}
