// A QUIC long header of a stranger: what is read lies inside the packet and is all of it.

import { MAX_CID_BYTES, parseLongHeader, QUIC_V1 } from '@ztna/protocol';
import { asBuffer, concat, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'parseLongHeader',
  maxBytes: 512,
  memory: { base: 16_384, perByte: 16 },
  dictionary: [hex('c000000001'), hex('00000000'), hex('ff00001d')],
  *seeds() {
    yield concat(hex('c0000000010811223344556677880801020304050607080005aabbccddee'), new Uint8Array(40));
    yield concat(hex('c00000000108112233445566778808010203040506070840400102'), new Uint8Array(64));
    yield hex('e0000000010811223344556677880801020304050607');
    yield hex('800000000000000102030405');
    yield hex('c05a5a5a5a08112233445566778800');
  },
  run(input) {
    const packet = asBuffer(input);
    const header = parseLongHeader(packet);
    if (!header) return undefined;
    const { version, type, dcid, scid, token } = header;
    ensure((packet[0]! & 0x80) !== 0 && packet.readUInt32BE(1) === version && type >= 0 && type <= 3, 'not what the packet says');
    ensure(dcid.length <= MAX_CID_BYTES && scid.length <= MAX_CID_BYTES, 'a connection id beyond 20 bytes');
    ensure(token.length === 0 || (version === QUIC_V1 && type === 0), 'a token outside an Initial');
    for (const part of [dcid, scid, token])
      ensure(part.buffer === packet.buffer && part.byteOffset >= packet.byteOffset && part.byteOffset + part.length <= packet.byteOffset + packet.length, 'a view outside of the packet');
    const front = Buffer.concat([packet.subarray(0, 5), Buffer.of(dcid.length), dcid, Buffer.of(scid.length), scid]);
    ensure(front.equals(packet.subarray(0, front.length)), 'the ids are not where they are read');
    return { version, type, dcid, scid, token };
  },
};
