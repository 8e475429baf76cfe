// The 16 bytes in front of a relayed datagram: both codecs agree, and rewriting touches slot and tag alone.

import { checkHeader, decodeHeader, encodeHeader, HEADER_BYTES, readSlot, readTag, readType, rewriteSession } from '@ztna/protocol';
import { equal } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'checkHeader, readType, readSlot, readTag, decodeHeader, rewriteSession',
  maxBytes: 64,
  memory: { base: 8192, perByte: 16 },
  *seeds() {
    for (const type of [0, 1, 2] as const) yield encodeHeader({ type, slot: 7, tag: 0xdeadbeef });
  },
  run(input) {
    const fault = checkHeader(input, input.length);
    const decoded = decodeHeader(input);
    if (!decoded.ok) {
      ensure(decoded.reason === fault, `decodeHeader says ${decoded.reason}, checkHeader ${fault ?? 'nothing'}`);
      return fault;
    }
    const header = { type: readType(input), slot: readSlot(input), tag: readTag(input) };
    ensure(fault === undefined && JSON.stringify(header) === JSON.stringify(decoded.header), 'the codecs read different headers');
    ensure(equal(encodeHeader(header), input.subarray(0, HEADER_BYTES)), 'encoding again gives other bytes');
    const copy = input.slice();
    rewriteSession(copy, ~header.slot >>> 0, ~header.tag >>> 0);
    ensure(readSlot(copy) === ~header.slot >>> 0 && readTag(copy) === ~header.tag >>> 0, 'rewriting did not take');
    rewriteSession(copy, header.slot, header.tag);
    ensure(equal(copy, input), 'rewriting changed more than slot and tag');
    return header;
  },
};
