// Tells the peer that a stream was aborted, so that it arrives: as notes on a unidirectional stream of each side, which
// QUIC sends again until they are acknowledged. Owns that stream; which streams a note ends is the connection's.
//
// Not RESET_STREAM and STOP_SENDING, because quiche 0.18
//   - never sends a lost STOP_SENDING again, nor a lost RESET_STREAM once it has collected the stream, which it does
//     with the first acknowledgement after both directions are over;
//   - never collects a stream that either of them met with bytes that were written and not sent yet. The peer may then
//     open one stream less, for as long as the connection lives: after as many aborted downloads as there were streams, none.

import { failureFromNumber, failureNumber, type FailureCode } from '../failure-codes.js';
import { AbortNoteDecoder, encodeAbortNote } from '../wire/abort-note.js';
import { STREAM_BLOCKED, type QuicConnection } from './port.js';

/** What a peer that reads no notes can make us hold: a thousand notes and more. It harms nobody but itself. */
export const MAX_PENDING_NOTE_BYTES = 8 * 1024;

const NO_BYTES = new Uint8Array(0);

export interface AbortNotesInit {
  readonly quic: QuicConnection;
  readonly isServer: boolean;
  readonly scratch: Uint8Array;
  /** There is something to send, or a window to open. */
  readonly markDirty: () => void;
  readonly onNote: (streamId: number, code: FailureCode) => void;
}

export class AbortNotes {
  readonly #init: AbortNotesInit;
  readonly #decoder = new AbortNoteDecoder();
  /** RFC 9000 §2.1: the first unidirectional stream of a client is 2, of a server 3. */
  readonly #ownId: number;
  readonly #peerId: number;
  #pending: Uint8Array = NO_BYTES;

  constructor(init: AbortNotesInit) {
    this.#init = init;
    this.#ownId = init.isServer ? 3 : 2;
    this.#peerId = init.isServer ? 2 : 3;
  }

  send(streamId: number, code: FailureCode): void {
    const note = encodeAbortNote({ streamId, code: failureNumber(code) });
    if (this.#pending.length + note.length > MAX_PENDING_NOTE_BYTES) return;
    this.#pending = Uint8Array.from([...this.#pending, ...note]);
    this.flush();
  }

  /** There may be room again. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const taken = this.#init.quic.writeStream(this.#ownId, this.#pending, false);
    if (taken <= 0) return;
    this.#pending = this.#pending.subarray(taken);
    this.#init.markDirty();
  }

  /** A unidirectional stream of the peer has something. False when that is no lawful note. */
  handleReadable(id: number): boolean {
    const { quic, scratch } = this.#init;
    if (id !== this.#peerId) return false;
    for (let count; (count = quic.readStream(id, scratch)) !== 0; ) {
      if (quic.lastReadFin) return false;
      if (count < 0) return count === STREAM_BLOCKED;
      const notes = this.#decoder.push(scratch.subarray(0, count));
      if (!notes) return false;
      this.#init.markDirty();
      for (const { streamId, code } of notes) this.#init.onNote(streamId, failureFromNumber(code));
    }
    return !quic.lastReadFin;
  }
}
