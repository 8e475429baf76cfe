// The connector's answer to a preamble, as the agent reads it.

import { isDeepStrictEqual } from 'node:util';
import { createPreambleAnswerDecoder, encodePreambleAnswer, MAX_PREAMBLE_BYTES } from '@ztna/protocol';
import { chunksOf, concat, equal, utf8 } from './support/chunks.js';
import { CBOR_WORDS } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { decodePreamble } from './support/preamble.js';

export const target: FuzzTarget = {
  decodes: 'createPreambleAnswerDecoder',
  maxBytes: MAX_PREAMBLE_BYTES + 32,
  memory: { base: 65_536, perByte: 1024 },
  dictionary: [...CBOR_WORDS, '\x62ok', '\x65error', '\x66reason', '\x6fbackend_refused', '\x6fbackend_timeout'],
  *seeds() {
    yield concat(encodePreambleAnswer({ ok: true }), utf8('payload'));
    yield encodePreambleAnswer({ error: 'backend_refused', reason: 'connect ECONNREFUSED' });
  },
  run(input) {
    const { result, rest } = decodePreamble(createPreambleAnswerDecoder(), [input]);
    const cut = decodePreamble(createPreambleAnswerDecoder(), chunksOf(input));
    ensure(isDeepStrictEqual(cut.result, result) && equal(cut.rest, rest), 'cutting the stream changed the answer or what follows it');
    if (result === undefined) return 'incomplete';
    if (!result.ok) return result;
    const again = decodePreamble(createPreambleAnswerDecoder(), [encodePreambleAnswer(result.value)]);
    ensure(isDeepStrictEqual(again.result, result), 'encoding again reads as something else');
    return { result, rest };
  },
};
