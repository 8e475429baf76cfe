// The first bytes of a flow's stream, as the connector reads them.

import { isDeepStrictEqual } from 'node:util';
import { createPreambleDecoder, encodePreamble, MAX_ANSWER_REASON_LENGTH, MAX_PREAMBLE_BYTES } from '@ztna/protocol';
import { chunksOf, concat, equal, utf8 } from './support/chunks.js';
import { CBOR_WORDS } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { decodePreamble } from './support/preamble.js';

export const target: FuzzTarget = {
  decodes: 'createPreambleDecoder',
  maxBytes: MAX_PREAMBLE_BYTES + 32,
  memory: { base: 65_536, perByte: 1024 },
  dictionary: [...CBOR_WORDS, '\x61v', '\x64kind', '\x67service', '\x63tcp', '\x63udp', '\x65error'],
  *seeds() {
    yield encodePreamble({ v: 1, kind: 'tcp', service: 'web' });
    yield concat(encodePreamble({ v: 1, kind: 'udp', service: 'a'.repeat(63) }), utf8('payload'));
  },
  run(input) {
    const { result, rest } = decodePreamble(createPreambleDecoder(), [input]);
    const cut = decodePreamble(createPreambleDecoder(), chunksOf(input));
    ensure(isDeepStrictEqual(cut.result, result) && equal(cut.rest, rest), 'cutting the stream changed the preamble or what follows it');
    if (result === undefined) return 'incomplete';
    if (!result.ok) {
      ensure(result.reason.length <= MAX_ANSWER_REASON_LENGTH, 'a reason is longer than an answer may hold');
      return result;
    }
    ensure(rest.length < input.length && equal(rest, input.subarray(input.length - rest.length)), 'the payload is not the rest');
    const again = decodePreamble(createPreambleDecoder(), [encodePreamble(result.value)]);
    ensure(isDeepStrictEqual(again.result, result), 'encoding again reads as something else');
    return { result, rest };
  },
};
