// One bidirectional stream as its user sees it: bytes in, bytes out, FIN and reset each way.
// Knows no sockets; splicing to one is flow/. The connection calls the handler, never the other way round.

import { failureFromNumber, failureNumber, type FailureCode } from '../failure-codes.js';
import { STREAM_BLOCKED, STREAM_RESET, type QuicConnection } from './port.js';

export interface QuicStreamHandler {
  /** Bytes, a FIN or a reset may be waiting: call `read` until it returns 0. */
  onReadable(): void;
  /** `write` would take bytes again. Only after a `write` that took fewer than it was given. */
  onWritable(): void;
  /** The peer reset the stream, or the connection is gone. Called once; the stream is dead. */
  onReset(code: FailureCode): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly quic: QuicConnection;
  readonly hasEnded: boolean;
  markDirty(): void;
  noticeRead(): void;
  noticeWritten(stream: QuicStream): void;
  setBlocked(stream: QuicStream, blocked: boolean): void;
  forget(stream: QuicStream): void;
  /** Has the peer told that the stream is over, however many packets are lost. */
  tellAbort(id: number, code: FailureCode): void;
  /** Reads and drops what the peer has sent. */
  discard(id: number): void;
}

const NO_BYTES = new Uint8Array(0);
/** The last byte of a stream whose `endMark` is set and that ended in good order; docs/wire-format.md. */
const END_MARK = 0x00;
/** For an abort without a failure, whose number would be END_MARK. */
const ABORTED = failureNumber('flow_reset');
const END_MARK_BYTES = new Uint8Array([END_MARK]);

export class QuicStream {
  readonly id: number;
  handler: QuicStreamHandler | undefined;
  /**
   * Whether the FIN travels with one byte of its own, which the reading side takes off again: END_MARK, or the number
   * of the failure that cut the stream short. Set it on both sides before the first byte moves. Default false.
   *
   * An abort is then such a FIN as well, beside a note to the peer, and what still comes is read and dropped; without
   * it an abort is RESET_STREAM and STOP_SENDING, which may get lost (abort-notes.ts says how).
   *
   * quiche counts a stream as complete once all its data is acknowledged, sent FIN or not: a FIN without
   * data is forgotten when the last acknowledgement comes just before it is flushed, and never sent again
   * when its packet is lost. With a byte of its own the FIN is as reliable as data.
   */
  endMark = false;
  readonly #owner: StreamOwner;
  #lead: Uint8Array | undefined;
  #finishing = false;
  #readDone = false;
  /** The peer's FIN said that the stream is not whole. */
  #isCut = false;
  #writeDone = false;
  #dead = false;
  /** The byte that says how the aborted stream ended, until QUIC takes it. */
  #abortMark: Uint8Array | undefined;

  constructor(id: number, owner: StreamOwner) {
    this.id = id;
    this.#owner = owner;
  }

  /** True once the peer's FIN was read. */
  get readFinished(): boolean {
    return this.#readDone && !this.#isCut;
  }

  /** True once both directions are over, however they ended. */
  get isDead(): boolean {
    return this.#dead;
  }

  /** True when the connection ended, with or without the stream. */
  get isOrphaned(): boolean {
    return this.#owner.hasEnded;
  }

  /** Notices a reset by the peer (`onReset` follows at once) while the user cannot take more bytes. */
  checkReset(): void {
    this.read(NO_BYTES);
  }

  /** Reads into `into`; 0 when nothing is waiting (or all was read: `readFinished`). Reading opens the peer's flow-control window. */
  read(into: Uint8Array): number {
    if (this.#readDone || this.#dead) return 0;
    const { quic } = this.#owner;
    const count = quic.readStream(this.id, into);
    if (count < 0) {
      if (count !== STREAM_BLOCKED) this.#fault(count);
      return 0;
    }
    this.#owner.noticeRead();
    if (!quic.lastReadFin) return count;
    this.#readDone = true;
    if (this.endMark && (count === 0 || into[count - 1] !== END_MARK)) {
      this.#isCut = true;
      // The peer knows that it cut the stream short; one that forgot the mark hears of it by the stream's other end.
      this.handlePeerAbort(count === 0 ? 'protocol_error' : failureFromNumber(into[count - 1]!));
      return 0;
    }
    this.#forgetWhenDone();
    return this.endMark ? count - 1 : count;
  }

  /**
   * Queues a stream's first bytes, to go out before any that `write` takes. Unlike `write` this never
   * takes less: a busy connection may have no room for even one byte at this moment. Call it once.
   */
  lead(bytes: Uint8Array): void {
    if (this.#writeDone || this.#dead) return;
    this.#lead = bytes;
    this.#flushLead();
  }

  /** Ends writing, now or as soon as there is room for the FIN. Nothing may be written after it. */
  finish(): void {
    if (this.#writeDone || this.#dead) return;
    this.#finishing = true;
    this.write(NO_BYTES, true);
  }

  /** For the connection: something may be waiting to be read. */
  handleReadable(): void {
    if (this.#readDone) this.#owner.discard(this.id);
    else this.handler?.onReadable();
  }

  /** For the connection: there may be room again. */
  handleWritable(): void {
    if (this.#abortMark) return this.#writeAbortMark(this.#abortMark);
    if (!this.#flushLead()) return;
    if (this.#finishing) this.finish();
    else this.handler?.onWritable();
  }

  /** Takes as many bytes as flow control allows now and returns how many; FIN goes out only once all are taken. */
  write(bytes: Uint8Array, fin: boolean): number {
    if (!this.#flushLead()) return 0;
    if (!this.endMark || !fin) return this.#write(bytes, fin);
    const taken = bytes.length > 0 ? this.#write(bytes, false) : 0;
    if (taken === bytes.length) this.#write(END_MARK_BYTES, true);
    return taken;
  }

  /** True once nothing is left to go before what `write` takes. */
  #flushLead(): boolean {
    if (!this.#lead) return true;
    const lead = this.#lead;
    const taken = this.#write(lead, false);
    if (this.#dead) return false;
    this.#lead = taken === lead.length ? undefined : lead.subarray(taken);
    return !this.#lead;
  }

  #write(bytes: Uint8Array, fin: boolean): number {
    if (this.#writeDone || this.#dead) return 0;
    const count = this.#owner.quic.writeStream(this.id, bytes, fin);
    if (count < 0 && count !== STREAM_BLOCKED) {
      this.#fault(count);
      return 0;
    }
    const taken = Math.max(count, 0);
    this.#owner.noticeWritten(this);
    this.#owner.setBlocked(this, taken < bytes.length);
    if (fin && taken === bytes.length && count >= 0) {
      this.#writeDone = true;
      this.#forgetWhenDone();
    } else if (fin && bytes.length === 0) {
      this.#owner.setBlocked(this, true);
    }
    return taken;
  }

  /** True once the FIN was taken by `write`. */
  get writeFinished(): boolean {
    return this.#writeDone;
  }

  /** Reads no more; what the peer has sent is discarded, and what it will send. Writing goes on. */
  stopReading(code: FailureCode): void {
    if (this.#readDone || this.#dead) return;
    if (this.endMark) this.#owner.discard(this.id);
    else this.#owner.quic.stopStream(this.id, failureNumber(code));
    this.#readDone = true;
    this.#owner.markDirty();
    this.#forgetWhenDone();
  }

  /** Ends both directions at once, here and at the peer. */
  abort(code: FailureCode): void {
    if (this.#dead) return;
    if (this.endMark) this.#owner.tellAbort(this.id, code);
    this.#abort(code);
  }

  /** For the connection: the peer says that it aborted the stream. */
  handlePeerAbort(code: FailureCode): void {
    if (this.#dead) return;
    this.#abort(code);
    this.handler?.onReset(code);
  }

  #abort(code: FailureCode): void {
    const { quic } = this.#owner;
    const number = failureNumber(code);
    const isWriting = !this.#writeDone;
    const isReading = !this.#readDone;
    this.#die();
    if (this.endMark) {
      if (isReading) this.#owner.discard(this.id);
      if (isWriting) this.#writeAbortMark(Uint8Array.of(number === END_MARK ? ABORTED : number));
      return;
    }
    if (isWriting) quic.resetStream(this.id, number);
    if (isReading) quic.stopStream(this.id, number);
  }

  /** Behind what QUIC has taken already, now or when there is room: the peer reads and drops it all. */
  #writeAbortMark(mark: Uint8Array): void {
    const taken = this.#owner.quic.writeStream(this.id, mark, true);
    const isBlocked = taken === STREAM_BLOCKED || taken === 0;
    this.#abortMark = isBlocked ? mark : undefined;
    this.#owner.setBlocked(this, isBlocked);
  }

  /** For the connection: it ended under the stream. */
  connectionEnded(code: FailureCode): void {
    if (this.#dead) return;
    this.#die();
    this.handler?.onReset(code);
  }

  /** QUIC knows of the stream's end what the peer knows too, or the stream no more. */
  #fault(outcome: number): void {
    this.handlePeerAbort(outcome === STREAM_RESET ? failureFromNumber(this.#owner.quic.lastStreamError) : 'flow_reset');
  }

  #forgetWhenDone(): void {
    if (this.#readDone && this.#writeDone) this.#die();
  }

  #die(): void {
    this.#dead = true;
    this.#lead = undefined;
    this.#owner.setBlocked(this, false);
    this.#owner.markDirty();
    this.#owner.forget(this);
  }
}
