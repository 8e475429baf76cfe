// The narrow interface the product uses QUIC through. One adapter file implements it
// (quiche-adapter.ts); tests may put a wrapper in between. Nothing here throws on network input:
// outcomes are numbers, so that the datagram path allocates nothing of ours.

import type { SocketAddress } from '../udp/datagram-socket.js';
import type { PacketAccount } from './packet-account.js';

/** Both ends of a network path, as the binding wants them with every packet. */
export interface PathInfo {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
}

/** What TLS and transport parameters a side offers. Every option is set by the caller: defaults live in transport-profiles.ts. */
export interface QuicConfigInit {
  readonly caPem: Uint8Array;
  readonly certificatePem: Uint8Array;
  readonly keyPem: Uint8Array;
  readonly alpn: string;
  readonly idleTimeoutMs: number;
  /** Largest UDP payload this side sends. */
  readonly maxUdpPayload: number;
  /** Bytes one stream may have in flight towards a reader that does not read. */
  readonly streamWindow: number;
  /** The same for all streams of the connection together. */
  readonly connectionWindow: number;
  /** Bidirectional streams the peer may have open at once. */
  readonly maxStreams: number;
  /** Bytes the peer may send on one unidirectional stream before they are read; 0: it may open none. */
  readonly noteWindow: number;
  /** Datagrams to send that queue inside the binding before it takes no more. */
  readonly datagramQueue: number;
  readonly congestionControl: 'reno' | 'cubic' | 'bbr';
}

/** Opaque; one serves any number of connections. */
export interface QuicConfig {
  readonly alpn: string;
}

/** Why a connection ended, as QUIC says it (RFC 9000 §19.19). */
export interface QuicError {
  readonly isApplication: boolean;
  readonly code: number;
  readonly reason: string;
}

/** `readStream`/`writeStream`: nothing to read, or no room to write, right now. */
export const STREAM_BLOCKED = -1;
/** The peer reset the stream, or asked us to stop sending; `lastStreamError` has its code. */
export const STREAM_RESET = -2;
/** The stream is finished or never was. */
export const STREAM_GONE = -3;

/** Received datagrams that QUIC holds for us; it is emptied before more can have come (endpoint-connection.ts). */
export const RECEIVE_QUEUE_DATAGRAMS = 16_384;

/** `sendDatagram`: queued; the queue is full; larger than the path takes; the peer takes none (yet). */
export const DATAGRAM_QUEUED = 0;
export const DATAGRAM_QUEUE_FULL = 1;
export const DATAGRAM_TOO_LARGE = 2;
export const DATAGRAM_UNSUPPORTED = 3;
export type DatagramOutcome = 0 | 1 | 2 | 3;

export interface QuicConnection {
  /** What its packets brought. */
  readonly account: PacketAccount;
  /** Feeds one packet; it is decrypted in place. False when it was refused. */
  receive(packet: Uint8Array, path: PathInfo): boolean;
  /** Writes the next packet to send and returns its length, 0 when there is none; its destination is in `sentTo`. */
  send(into: Uint8Array): number;
  readonly sentTo: SocketAddress;

  receiveDatagram(into: Uint8Array): number;
  /** Received datagrams that were not taken yet; beyond RECEIVE_QUEUE_DATAGRAMS the oldest is lost uncounted. */
  datagramsReceived(): number;
  sendDatagram(payload: Uint8Array): DatagramOutcome;
  /** Datagrams that wait to be sent: more than 0 after a flush means that the congestion window is full. */
  datagramsToSend(): number;
  /** The largest datagram payload the path takes, 0 when the peer takes none. */
  maxDatagramBytes(): number;

  /** True when some stream has bytes, a FIN or a reset to report. */
  isReadable(): boolean;
  /** The same of one stream; false for one that QUIC does not know. */
  isStreamReadable(id: number): boolean;
  /** Dear: the binding makes an object with methods of its own. `isStreamReadable` is a tenth where the streams are known. */
  readableStreams(): Iterable<number>;
  readStream(id: number, into: Uint8Array): number;
  /** Whether the last `readStream` reached the FIN. */
  readonly lastReadFin: boolean;
  writeStream(id: number, bytes: Uint8Array, fin: boolean): number;
  /** Bytes `writeStream` would take now, or STREAM_RESET / STREAM_GONE. */
  streamCapacity(id: number): number;
  readonly lastStreamError: number;
  resetStream(id: number, code: number): void;
  stopStream(id: number, code: number): void;
  /** Bidirectional streams this side may still open. */
  streamsLeft(): number;

  /** Milliseconds until `handleTimeout` is due, or Infinity. */
  timeoutMs(): number;
  handleTimeout(): void;
  /** Sends a PING with the next packet (RFC 9000 §19.2). */
  ping(): void;

  isEstablished(): boolean;
  isResumed(): boolean;
  /**
   * Closed or about to be: a CONNECTION_CLOSE was received and nothing is sent any more, a fault or `close` of this side
   * is to be told to the peer, or QUIC has given up. QUIC itself is asked only after something that may have done it.
   */
  isOver(): boolean;
  /** QUIC is done with it: forget it. */
  isClosed(): boolean;
  isTimedOut(): boolean;
  peerError(): QuicError | undefined;
  localError(): QuicError | undefined;
  close(isApplication: boolean, code: number, reason: string): void;

  /** DER of the peer's leaf certificate, the one TLS verified. */
  peerCertificate(): Uint8Array | undefined;
  /** The SNI: sent by a client, received by a server. */
  serverName(): string | undefined;

  /** The connection id of the peer's that packets carry now. */
  destinationId(): Uint8Array;
  /** From the next packet on another of the peer's ids, never used before; it hears that the old one is retired. False when it has given none to spare. */
  renewDestinationId(): boolean;
  /** How many more connection ids this side may issue. */
  connectionIdsLeft(): number;
  /** @param resetToken 16 bytes (RFC 9000 §10.3) */
  issueConnectionId(id: Uint8Array, resetToken: Uint8Array): void;
  /** The next of our connection ids that the peer retired. */
  nextRetiredConnectionId(): Uint8Array | undefined;
  /** The address pair packets go to now. */
  activePath(): { local: SocketAddress; peer: SocketAddress; rttMs: number } | undefined;
  /** Sends a challenge to another address of the peer (RFC 9000 §8.2). False without a spare connection id, or at a server. */
  probePath(local: SocketAddress, peer: SocketAddress): boolean;
  /** Whether the peer has answered a challenge there. */
  isPathValidated(local: SocketAddress, peer: SocketAddress): boolean;
  /** Sends there from now on. False unless the path is validated. */
  migrate(local: SocketAddress, peer: SocketAddress): boolean;
  /** Packets of this connection received so far. */
  packetsReceived(): number;
  /** Drains path events (RFC 9000 §9): where the peer moved last, the address validated, if it did. */
  pollPeerMigrated(): SocketAddress | undefined;
}
