// Joins a QUIC stream to a local byte stream (a TCP socket, or standard input and output).
// FIN ↔ end, reset ↔ RST, flow control ↔ pause/resume, one to one. Nothing is buffered beyond one
// chunk in each direction and what `writable` holds below its own high-water mark.

import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { FailureCode } from '../failure-codes.js';
import type { StreamGate } from './flow-gate.js';
import { wasReset } from './read-reset.js';
import type { QuicStream } from '../quic/quic-stream.js';
import { releaseReadBuffer, takeReadBuffer } from '../quic/read-buffers.js';

/** Below this a chunk is copied out, so that small reads do not pin large buffers behind a stalled reader. */
const COPY_BELOW_BYTES = 16 * 1024;
const NO_BYTES = new Uint8Array(0);

export interface LocalEnd {
  readonly readable: Readable;
  readonly writable: Writable;
  /** Cuts the local side off as hard as it can be: RST for TCP. */
  abort(): void;
}

export interface SpliceResult {
  /** Undefined when both directions finished in good order. */
  readonly code: FailureCode | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface SpliceInit {
  readonly stream: QuicStream;
  readonly local: LocalEnd;
  /** Bytes of the stream that were read before the splice began. */
  readonly early?: Buffer;
  readonly gate?: StreamGate;
  /** Called once, when both directions are finished or either side was reset. */
  readonly onDone: (result: SpliceResult) => void;
}

/**
 * Starts moving bytes, local ones at once, even while the gate is closed.
 *
 * @returns the bytes moved so far, whenever they are read
 */
export const splice = (init: SpliceInit): Pick<SpliceResult, 'bytesSent' | 'bytesReceived'> => {
  const started = new Splice(init);
  started.start(init.early);
  return started;
};

class Splice {
  readonly #stream: QuicStream;
  readonly #local: LocalEnd;
  readonly #onDone: (result: SpliceResult) => void;
  #gate: StreamGate | undefined;
  #unsent: Buffer | undefined;
  #localEnded = false;
  #waitingForDrain = false;
  #writeEnded = false;
  #writeFlushed = false;
  #done = false;
  #bytesSent = 0;
  #bytesReceived = 0;

  constructor({ stream, local, gate, onDone }: SpliceInit) {
    this.#stream = stream;
    this.#local = local;
    this.#gate = gate;
    this.#onDone = onDone;
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  start(early: Buffer | undefined): void {
    const { readable, writable } = this.#local;
    readable.on('data', this.#onLocalData);
    readable.on('end', this.#onLocalEnd);
    readable.on('error', this.#onLocalError);
    readable.on('close', this.#onLocalClose);
    writable.on('drain', this.#onDrain);
    writable.on('finish', this.#onFlushed);
    if ((writable as unknown) !== readable) {
      writable.on('error', this.#onLocalError);
      writable.on('close', this.#onWritableClose);
    }
    this.#stream.handler = { onReadable: this.#onReadable, onWritable: this.#pushUnsent, onReset: this.#onStreamReset };
    if (this.#stream.isDead && !this.#stream.readFinished) return this.#finish('flow_reset'); // reset before the splice began
    if (early && early.length > 0) this.#pass(early);
    this.#pullFromStream();
  }

  // Local → stream

  readonly #onLocalData = (chunk: Buffer): void => {
    const taken = this.#stream.write(chunk, false);
    this.#bytesSent += taken;
    if (taken === chunk.length || this.#done) return;
    this.#unsent = chunk.subarray(taken);
    this.#local.readable.pause();
  };

  readonly #pushUnsent = (): void => {
    if (this.#unsent) {
      const taken = this.#stream.write(this.#unsent, false);
      this.#bytesSent += taken;
      if (this.#done) return;
      if (taken < this.#unsent.length) {
        this.#unsent = this.#unsent.subarray(taken);
        return;
      }
      this.#unsent = undefined;
    }
    if (this.#localEnded) this.#sendFin();
    else this.#local.readable.resume();
  };

  readonly #onLocalEnd = (): void => {
    const { readable, writable } = this.#local;
    const isSocket = (writable as unknown) === readable;
    // libuv calls a reset an end when data came with it: a truncated transfer would look complete.
    if (readable instanceof Socket && wasReset(readable)) return this.#abortStream();
    if (!isSocket || writable.writableEnded) return this.#endLocal();
    // Where the descriptor cannot be asked: a write fails after a reset, even an empty one, and its error ends the flow.
    writable.write(NO_BYTES, (error) => {
      if (!error) this.#endLocal();
    });
  };

  #endLocal(): void {
    this.#localEnded = true;
    if (!this.#unsent && !this.#done) this.#sendFin();
  }

  #sendFin(): void {
    if (this.#stream.writeFinished) return;
    this.#stream.write(NO_BYTES, true);
    this.#finishWhenBothEnded();
  }

  // Stream → local

  readonly #onReadable = (): void => {
    // A stalled local reader must not hide that the peer is gone.
    if (this.#waitingForDrain) this.#stream.checkReset();
    else this.#pullFromStream();
  };

  #pullFromStream(): void {
    while (!this.#waitingForDrain && !this.#done && !this.#writeEnded) {
      const buffer = takeReadBuffer();
      const count = this.#stream.read(buffer);
      if (count >= COPY_BELOW_BYTES && !this.#gate) this.#writeLocal(buffer.subarray(0, count), () => releaseReadBuffer(buffer));
      else {
        if (count > 0) this.#pass(Buffer.from(buffer.subarray(0, count)));
        releaseReadBuffer(buffer);
      }
      if (this.#done) return;
      if (this.#stream.readFinished) {
        if (this.#gate) return this.#refuse('protocol_error'); // ended before its answer
        this.#writeEnded = true;
        this.#local.writable.end();
        return;
      }
      if (count === 0) return;
    }
  }

  #pass(chunk: Buffer): void {
    if (!this.#gate) return this.#writeLocal(chunk);
    const outcome = this.#gate(chunk);
    if (outcome === 'wait') return;
    if ('refused' in outcome) return this.#refuse(outcome.refused);
    this.#gate = undefined;
    if (outcome.rest.length > 0) this.#writeLocal(outcome.rest);
  }

  #refuse(code: FailureCode): void {
    this.#stream.abort(code);
    this.#finish(code);
  }

  #writeLocal(bytes: Buffer, onTaken?: () => void): void {
    this.#bytesReceived += bytes.length;
    if (!this.#local.writable.write(bytes, onTaken)) this.#waitingForDrain = true;
  }

  readonly #onDrain = (): void => {
    this.#waitingForDrain = false;
    this.#pullFromStream();
  };

  readonly #onFlushed = (): void => {
    this.#writeFlushed = true;
    this.#finishWhenBothEnded();
  };

  // Ends

  #finishWhenBothEnded(): void {
    if (this.#stream.writeFinished && this.#writeFlushed) this.#finish(undefined);
  }

  readonly #onLocalError = (): void => this.#abortStream();

  readonly #onLocalClose = (): void => {
    const { readable, writable } = this.#local;
    const isWhole = this.#localEnded && ((writable as unknown) !== readable || this.#writeFlushed);
    if (!isWhole) this.#abortStream();
  };

  readonly #onWritableClose = (): void => {
    if (!this.#writeFlushed) this.#abortStream();
  };

  #abortStream(): void {
    if (!this.#done) this.#refuse('flow_reset');
  }

  readonly #onStreamReset = (code: FailureCode): void => this.#finish(code);

  #finish(code: FailureCode | undefined): void {
    if (this.#done) return;
    this.#done = true;
    if (code) this.#local.abort();
    this.#onDone({ code, bytesSent: this.#bytesSent, bytesReceived: this.#bytesReceived });
  }
}
