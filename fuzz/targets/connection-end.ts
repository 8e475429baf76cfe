// Why a peer says the connection ended: any code, and text of any bytes, on its way to logs and messages.
// Input: kind, code (u32), then the reason.

import { FAILURE_CODES, MAX_REASON_LENGTH, readConnectionEnd, type QuicConnection } from '@ztna/protocol';
import { utf8, concat, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'readConnectionEnd, clipText, printable',
  maxBytes: 4096,
  memory: { base: 32_768, perByte: 64 },
  dictionary: ['\u001b[2J', '\u202e', '\ufeff', '\u2028', '\ud83d\ude00'],
  *seeds() {
    yield concat(hex('0100000040'), utf8('no rule lets alice open db'));
    yield concat(hex('0000000172'), utf8('TLS alert'));
    yield hex('0200000000');
    yield concat(hex('01ffffffff'), utf8('\u001b]0;x\u0007'.repeat(60)));
  },
  run(input) {
    const [kind = 0, a = 0, b = 0, c = 0, d = 0] = input;
    const error = { isApplication: (kind & 1) === 1, code: ((a << 24) | (b << 16) | (c << 8) | d) >>> 0, reason: new TextDecoder().decode(input.subarray(5)) };
    const quic: Pick<QuicConnection, 'peerError' | 'localError' | 'isTimedOut'> = {
      peerError: () => ((kind & 2) === 0 ? error : undefined),
      localError: () => ((kind & 4) === 0 ? error : undefined),
      isTimedOut: () => (kind & 8) === 0,
    };
    const end = readConnectionEnd(quic as QuicConnection, (kind & 16) === 0);
    ensure(end.code in FAILURE_CODES, `code ${end.code}`);
    ensure(end.reason !== '' && end.reason.length <= MAX_REASON_LENGTH, `a reason of ${end.reason.length} characters`);
    ensure(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u.test(end.reason), 'a reason that is not printable');
    ensure(Buffer.byteLength(end.reason) <= 1024, 'a reason that fits no packet');
    return end;
  },
};
