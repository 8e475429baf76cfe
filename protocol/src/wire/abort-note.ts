// "This stream is over, for that reason": two varints, one note after the other on a side's unidirectional stream of
// the inner connection (docs/wire-format.md). Owns the codec; what a note does is quic/abort-notes.ts.

import { readVarint, varintLength, varintLengthFrom, writeVarint } from './varint.js';

export interface AbortNote {
  readonly streamId: number;
  /** A failure code's number. */
  readonly code: number;
}

const NO_BYTES = new Uint8Array(0);

/** @throws ZtnaError `varint_out_of_range` for an impossible stream id or code: the caller's fault. */
export const encodeAbortNote = ({ streamId, code }: AbortNote): Uint8Array => {
  const prefix = varintLength(streamId);
  const note = new Uint8Array(prefix + varintLength(code));
  writeVarint(note, streamId);
  writeVarint(note.subarray(prefix), code);
  return note;
};

/** Notes out of a byte stream, fed in any chunks. Holds less than one note, at most 15 bytes, between them. */
export class AbortNoteDecoder {
  #held: Uint8Array = NO_BYTES;

  /** The notes that are whole now, or undefined when a value is beyond 2^53 − 1: the stream cannot be followed any more. */
  push(chunk: Uint8Array): AbortNote[] | undefined {
    let rest = this.#held.length > 0 ? Uint8Array.from([...this.#held, ...chunk]) : chunk;
    const notes: AbortNote[] = [];
    for (;;) {
      const streamId = readVarint(rest);
      const after = typeof streamId === 'number' ? rest.subarray(varintLengthFrom(rest[0]!)) : NO_BYTES;
      const code = typeof streamId === 'number' ? readVarint(after) : streamId;
      if (streamId === 'varint_out_of_range' || code === 'varint_out_of_range') return undefined;
      if (typeof streamId === 'string' || typeof code === 'string') break;
      notes.push({ streamId, code });
      rest = after.subarray(varintLengthFrom(after[0]!));
    }
    this.#held = Uint8Array.from(rest);
    return notes;
  }
}
