// UDP payloads on a flow's stream, cut up anywhere: frames of a u16 length, through FrameReader.

import { packUdpFrame, UdpFrameDecoder } from '@ztna/protocol';
import { chunksOf, concat, drain, equal, utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'FrameReader (u16), UdpFrameDecoder',
  maxBytes: 4096,
  memory: { base: 16_384, perByte: 640 },
  *seeds() {
    yield packUdpFrame(utf8('hello'));
    yield concat(packUdpFrame(utf8('')), packUdpFrame(new Uint8Array(300).fill(1)), packUdpFrame(utf8('x')));
  },
  run(input) {
    const whole = new UdpFrameDecoder();
    const payloads = drain(whole, [input]);
    const cut = new UdpFrameDecoder();
    const again = drain(cut, chunksOf(input));
    ensure(payloads.length === again.length && payloads.every((payload, index) => equal(payload, again[index]!)), 'cutting the stream changed a payload');
    ensure(whole.isPartial === cut.isPartial, 'cutting the stream changed where it ends');
    const consumed = concat(...payloads.map(packUdpFrame));
    ensure(equal(consumed, input.subarray(0, consumed.length)), 'packing again gives other bytes');
    ensure(whole.isPartial === consumed.length < input.length, 'bytes were lost');
    return { payloads, isPartial: whole.isPartial };
  },
};
