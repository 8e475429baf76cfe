// The control stream, cut up anywhere: u32 lengths through FrameReader, and where a fault ends it.

import { isDeepStrictEqual } from 'node:util';
import { ControlDecoder } from '@ztna/protocol';
import { chunksOf, concat, drain, hex } from './support/chunks.js';
import { CBOR_WORDS, CONTROL_WORDS, controlFrames } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'FrameReader (u32), ControlDecoder',
  maxBytes: 4096,
  memory: { base: 262_144, perByte: 2048 },
  dictionary: [...CONTROL_WORDS, ...CBOR_WORDS],
  *seeds() {
    const frames = controlFrames();
    yield* frames;
    yield concat(...frames);
    yield hex('00010000a0');
    yield hex('00010001');
  },
  run(input) {
    const whole = new ControlDecoder();
    const results = drain(whole, [input]);
    const cut = new ControlDecoder();
    ensure(isDeepStrictEqual(drain(cut, chunksOf(input)), results), 'cutting the stream changed a message');
    ensure(whole.isPartial === cut.isPartial, 'cutting the stream changed where it ends');
    const fatal = results.findIndex((result) => !result.ok && result.fatal);
    ensure(fatal < 0 || fatal === results.length - 1, 'something came after a fatal fault');
    ensure(fatal < 0 || !whole.isPartial, 'a failed decoder holds on to a frame');
    return results;
  },
};
