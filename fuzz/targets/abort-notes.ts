// Abort notes, cut up anywhere: pairs of varints, through AbortNoteDecoder.

import { AbortNoteDecoder, encodeAbortNote, type AbortNote } from '@ztna/protocol';
import { chunksOf, concat, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

/** Undefined once a chunk was refused. */
const decode = (chunks: Iterable<Uint8Array>): AbortNote[] | undefined => {
  const decoder = new AbortNoteDecoder();
  const notes: AbortNote[] = [];
  for (const chunk of chunks) {
    const more = decoder.push(chunk);
    if (!more) return undefined;
    notes.push(...more);
  }
  return notes;
};

export const target: FuzzTarget = {
  decodes: 'readVarint, AbortNoteDecoder',
  maxBytes: 256,
  // Decoded three times, two views for each note of two bytes.
  memory: { base: 16_384, perByte: 1280 },
  *seeds() {
    for (const digits of ['044089', '7bbd4087044089', '04ffffffffffffffff', 'c0000001000000004089']) yield hex(digits);
  },
  run(input) {
    const notes = decode([input]);
    const again = decode(chunksOf(input));
    ensure(JSON.stringify(notes) === JSON.stringify(again), 'cutting the stream changed the notes');
    if (!notes) return 'varint_out_of_range';
    ensure(notes.every(({ streamId, code }) => Number.isSafeInteger(streamId) && Number.isSafeInteger(code)), 'a value that is no whole number');
    const packed = concat(...notes.map(encodeAbortNote));
    ensure(packed.length <= input.length, 'the shortest form is not the shortest');
    ensure(JSON.stringify(decode([packed])) === JSON.stringify(notes), 'packing again reads as something else');
    return { notes };
  },
};
