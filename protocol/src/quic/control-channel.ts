// The control stream of an outer connection: messages over stream 0, both ways, with a bounded
// backlog towards a peer that does not read. Framing and schema are wire/control-codec.ts.

import type { FailureCode } from '../failure-codes.js';
import { ControlDecoder, encodeControl, type ControlDecoded, type ControlFault } from '../wire/control-codec.js';
import { MAX_CONTROL_BYTES, type ControlMessage } from '../wire/control-messages.js';
import type { QuicStream } from './quic-stream.js';
import { releaseReadBuffer, takeReadBuffer } from './read-buffers.js';

/** Four of the largest messages: beyond it the peer has stopped reading. */
export const MAX_CONTROL_BACKLOG_BYTES = 4 * MAX_CONTROL_BYTES;

export interface ControlHandler {
  /** Asked before each message or fault is handed over; false: it waits, and nothing more is read, until `resume`. Default: true. */
  admit?(): boolean;
  onMessage(message: ControlMessage): void;
  /** A message that could not be decoded. After a fatal fault nothing more is read; answers still go out. */
  onFault(fault: ControlFault): void;
  /** The peer reset or finished the stream, or does not read it. The connection is of no more use. */
  onControlEnd(code: FailureCode): void;
}

export class ControlChannel {
  readonly #stream: QuicStream;
  readonly #handler: ControlHandler;
  readonly #decoder = new ControlDecoder();
  readonly #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #ended = false;
  #deaf = false;
  #paused = false;
  /** What was not admitted, to be asked about again. */
  #held: ControlDecoded | undefined;

  constructor(stream: QuicStream, handler: ControlHandler) {
    this.#stream = stream;
    this.#handler = handler;
    stream.handler = {
      onReadable: () => this.#read(),
      onWritable: () => this.#drain(),
      // The connection's own end is its handler's to hear of, with the reason.
      onReset: (code) => (stream.isOrphaned ? this.stop() : this.#end(code)),
    };
  }

  send(message: ControlMessage): void {
    if (this.#ended) return;
    const frame = encodeControl(message);
    this.#backlog.push(frame);
    this.#backlogBytes += frame.length;
    this.#drain();
    if (this.#backlogBytes > MAX_CONTROL_BACKLOG_BYTES) this.#end('slow_reader');
  }

  /** Reads on after `admit` said no. */
  resume(): void {
    this.#paused = false;
    this.#read();
  }

  /** No message is delivered or sent any more. */
  stop(): void {
    this.#ended = true;
    this.#held = undefined;
    this.#backlog.length = 0;
  }

  #drain(): void {
    while (this.#backlog.length > 0) {
      const frame = this.#backlog[0]!;
      const taken = this.#stream.write(frame, false);
      if (this.#ended) return; // the write met a reset
      this.#backlogBytes -= taken;
      if (taken < frame.length) {
        this.#backlog[0] = frame.subarray(taken);
        return;
      }
      this.#backlog.shift();
    }
  }

  #read(): void {
    if (this.#paused) return;
    this.#deliver();
    const chunk = takeReadBuffer();
    for (let count; this.#isReading && (count = this.#stream.read(chunk)) > 0; ) {
      this.#decoder.push(chunk.subarray(0, count));
      this.#deliver();
    }
    // Paused, it has more to decode in a chunk that is not its own.
    this.#decoder.keepRest();
    releaseReadBuffer(chunk);
    if (this.#stream.readFinished && this.#isReading) this.#end(this.#decoder.isPartial ? 'control_message_malformed' : 'protocol_error');
  }

  get #isReading(): boolean {
    return !this.#ended && !this.#deaf && !this.#paused;
  }

  /** Hands over what has been decoded, as far as it is admitted. */
  #deliver(): void {
    for (let decoded; this.#isReading && (decoded = this.#held ?? this.#decoder.next()); ) {
      this.#held = undefined;
      if (this.#handler.admit?.() === false) {
        this.#held = decoded;
        this.#paused = true;
      } else if (decoded.ok) {
        this.#handler.onMessage(decoded.message);
      } else {
        this.#deaf = decoded.fatal;
        this.#handler.onFault(decoded);
      }
    }
  }

  #end(code: FailureCode): void {
    if (this.#ended) return;
    this.stop();
    this.#handler.onControlEnd(code);
  }
}
