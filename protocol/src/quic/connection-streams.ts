// The streams of one connection: opened and accepted, read and written, and what is told of those that were aborted. Owns which
// there are; when they are asked is endpoint-connection.ts's, how one goes is quic-stream.ts's.

import type { FailureCode } from '../failure-codes.js';
import { AbortNotes } from './abort-notes.js';
import { PeerStreamIds } from './peer-stream-ids.js';
import type { QuicConnection } from './port.js';
import { QuicStream, type StreamOwner } from './quic-stream.js';

/** RFC 9000 §2.1. */
const UNIDIRECTIONAL_BIT = 2;
/** Streams whose abort came before they did: as many as a peer may have open. */
const MAX_EARLY_ABORTS = 2048;

/** Streams that are asked one by one whether they can be read, before QUIC is asked which: that costs as much as ten (readableStreams). */
const MAX_ASKED_STREAMS = 4;

/** Less room than this after a flush may have kept a packet back. */
const FULL_PACKET_BYTES = 1500;

/** What streams need of their connection. */
export interface StreamsHost {
  readonly quic: QuicConnection;
  readonly isServer: boolean;
  /** Handlers are to hear of input: any of them may have closed the connection meanwhile. */
  readonly isLive: boolean;
  readonly hasEnded: boolean;
  readonly scratch: Buffer;
  markDirty(): void;
  /** A window update may be due. */
  noticeRead(): void;
  /** The peer opened a stream: whoever wants it sets its handler. */
  noticeStream(stream: QuicStream): void;
  close(code: FailureCode): void;
}

export class ConnectionStreams implements StreamOwner {
  readonly #host: StreamsHost;
  readonly #streams = new Map<number, QuicStream>();
  readonly #blocked = new Set<QuicStream>();
  readonly #unacknowledged = new Map<number, (acknowledged: boolean) => void>();
  readonly #peerStreamIds: PeerStreamIds;
  readonly #earlyAborts = new Map<number, FailureCode>();
  #notes: AbortNotes | undefined;
  #nextStream: number;
  /** A stream some bytes of which QUIC may hold for want of a window, or -1. */
  #heldStream = -1;

  constructor(host: StreamsHost) {
    this.#host = host;
    // RFC 9000 §2.1: bidirectional streams are 0, 4, 8 … for clients and 1, 5, 9 … for servers.
    this.#nextStream = host.isServer ? 1 : 0;
    this.#peerStreamIds = new PeerStreamIds(host.isServer ? 0 : 1);
  }

  get quic(): QuicConnection {
    return this.#host.quic;
  }

  get hasEnded(): boolean {
    return this.#host.hasEnded;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Some stream waits for room, in QUIC or at the peer. */
  get isHeldBack(): boolean {
    return this.#heldStream >= 0 || this.#blocked.size > 0;
  }

  /** Undefined while the peer allows no more. */
  open(): QuicStream | undefined {
    if (this.quic.streamsLeft() <= 0) return undefined;
    const stream = new QuicStream(this.#nextStream, this);
    this.#nextStream += 4;
    this.#streams.set(stream.id, stream);
    // The stream exists for QUIC once something is written; an empty write claims the id.
    this.quic.writeStream(stream.id, new Uint8Array(0), false);
    return stream;
  }

  whenAcknowledged(stream: QuicStream): Promise<boolean> {
    return new Promise((resolve) => {
      this.#unacknowledged.set(stream.id, resolve);
      this.settleAcknowledged();
    });
  }

  markDirty(): void {
    this.#host.markDirty();
  }

  noticeRead(): void {
    this.#host.noticeRead();
  }

  noticeWritten(stream: QuicStream): void {
    this.#heldStream = stream.id;
    this.markDirty();
  }

  setBlocked(stream: QuicStream, blocked: boolean): void {
    if (blocked) this.#blocked.add(stream);
    else this.#blocked.delete(stream);
  }

  forget(stream: QuicStream): void {
    this.#streams.delete(stream.id);
  }

  tellAbort(id: number, code: FailureCode): void {
    this.#abortNotes().send(id, code);
  }

  /** Reads what came for a stream that nobody reads any more: QUIC forgets it once its end was read. */
  discard(id: number): void {
    while (this.quic.readStream(id, this.#host.scratch) > 0) this.markDirty();
  }

  /** After a flush. QUIC has sent all bytes it was given if there is room for more; a stream that is gone is acknowledged. */
  noticeFlushed(): void {
    if (this.#heldStream < 0) return;
    const room = this.quic.streamCapacity(this.#heldStream);
    if (room < 0 || room >= FULL_PACKET_BYTES) this.#heldStream = -1;
  }

  deliverReadable(): void {
    const { quic } = this;
    if (this.#streams.size <= MAX_ASKED_STREAMS) {
      for (const stream of this.#streams.values()) {
        if (quic.isStreamReadable(stream.id)) stream.handleReadable();
        if (!this.#host.isLive) return;
      }
      if (!quic.isReadable()) return;
    }
    for (const id of quic.readableStreams()) {
      if ((id & UNIDIRECTIONAL_BIT) === 0) (this.#streams.get(id) ?? this.#accept(id))?.handleReadable();
      else if (!this.#abortNotes().handleReadable(id)) this.#host.close('protocol_error');
      if (!this.#host.isLive) return;
    }
  }

  /** Streams and notes that found no room may have some now. */
  deliverWritable(): void {
    if (this.#blocked.size > 0) {
      for (const stream of [...this.#blocked]) {
        if (!this.#host.isLive) return;
        if (this.#blocked.has(stream) && this.quic.streamCapacity(stream.id) !== 0) {
          this.#blocked.delete(stream);
          stream.handleWritable();
        }
      }
    }
    if (this.#host.isLive) this.#notes?.flush();
  }

  /** QUIC forgets a stream when both directions are finished and acknowledged. */
  settleAcknowledged(): void {
    if (this.#unacknowledged.size === 0) return;
    for (const [id, resolve] of this.#unacknowledged) {
      if (this.quic.streamCapacity(id) >= 0) continue;
      this.#unacknowledged.delete(id);
      resolve(true);
    }
  }

  /** The connection has ended: tells every stream, each within `contain`, for handlers may throw. */
  end(code: FailureCode, contain: (run: () => void) => void): void {
    for (const stream of [...this.#streams.values()]) contain(() => stream.connectionEnded(code));
    this.#streams.clear();
    this.#blocked.clear();
    for (const resolve of this.#unacknowledged.values()) resolve(false);
    this.#unacknowledged.clear();
  }

  #accept(id: number): QuicStream | undefined {
    if (!this.#isFromPeer(id) || !this.#peerStreamIds.claim(id)) {
      this.discard(id); // the tail of a stream we are done with
      return undefined;
    }
    const stream = new QuicStream(id, this);
    this.#streams.set(id, stream);
    this.#host.noticeStream(stream);
    if (!stream.handler) stream.abort('unexpected_message');
    const early = this.#earlyAborts.get(id);
    if (early && this.#earlyAborts.delete(id)) stream.handlePeerAbort(early);
    return stream;
  }

  #isFromPeer(id: number): boolean {
    return (id & 1) !== (this.#host.isServer ? 1 : 0);
  }

  #abortNotes(): AbortNotes {
    const { quic, isServer, scratch } = this.#host;
    this.#notes ??= new AbortNotes({ quic, isServer, scratch, markDirty: () => this.markDirty(), onNote: (id, code) => this.#handleNote(id, code) });
    return this.#notes;
  }

  #handleNote(id: number, code: FailureCode): void {
    const stream = this.#streams.get(id);
    if (stream) return stream.handlePeerAbort(code);
    // The note overtook the stream. Of a stream that is over it has nothing to say.
    if (this.#isFromPeer(id) && !this.#peerStreamIds.isClaimed(id) && this.#earlyAborts.size < MAX_EARLY_ABORTS) this.#earlyAborts.set(id, code);
  }
}
