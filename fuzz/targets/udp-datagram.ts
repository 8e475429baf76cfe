// A UDP payload in a QUIC datagram, and the varint in front of it.

import { packUdpDatagram, parseUdpDatagram, udpDatagramOverhead, varintLengthFrom } from '@ztna/protocol';
import { equal, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'readVarint, parseUdpDatagram',
  maxBytes: 64,
  memory: { base: 8192, perByte: 16 },
  *seeds() {
    for (const digits of ['0468656c6c6f', '7bbd68656c6c6f', '9d7f3e7d68656c6c6f', 'c00000010000000068656c6c6f', '4004']) yield hex(digits);
  },
  run(input) {
    const parsed = parseUdpDatagram(input);
    if (!parsed.ok) return parsed.reason;
    const { streamId, payload } = parsed;
    ensure(Number.isSafeInteger(streamId) && streamId >= 0, `stream id ${streamId}`);
    ensure(varintLengthFrom(input[0]!) + payload.length === input.length, 'not every byte is accounted for');
    const packed = packUdpDatagram(streamId, payload);
    ensure(packed.length === udpDatagramOverhead(streamId) + payload.length && packed.length <= input.length, 'the shortest form is not the shortest');
    const again = parseUdpDatagram(packed);
    ensure(again.ok && again.streamId === streamId && equal(again.payload, payload), 'packing again reads as something else');
    return { streamId, payload };
  },
};
