// Text of a peer on its way to a terminal, a log line or a message. Input: a bound (a byte), then UTF-16 units,
// so that unpaired surrogates occur.

import { clipText, encodeCborMap, escapeText, printable, quoteText } from '@ztna/protocol';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const utf16 = (bound: number, text: string): Uint8Array => new Uint8Array(Buffer.concat([Buffer.of(bound), Buffer.from(text, 'utf16le')]));

export const target: FuzzTarget = {
  decodes: 'clipText, printable, escapeText, quoteText',
  maxBytes: 2048,
  memory: { base: 65_536, perByte: 512 },
  dictionary: [...'\u001b\u009b\u202e\ufeff\u2028"\\\n'].map((character) => Buffer.from(character, 'utf16le')),
  *seeds() {
    yield utf16(4, 'plain text');
    yield utf16(3, 'ab\ud83d\ude00cd');
    yield utf16(200, '\ufeff\ufeff\ud83d \u001b[31m"\\u001b\u2066');
  },
  run(input) {
    const bound = input[0] ?? 0;
    const text = Buffer.from(input.subarray(1)).toString('utf16le');
    const clipped = clipText(text, bound);
    ensure(clipped.length <= bound && !/\p{Surrogate}/u.test(clipped), 'clipped text is too long or not well formed');
    ensure(clipText(clipped, bound) === clipped, 'clipping twice changes the text');
    ensure(encodeCborMap({ text: clipped }).length > 0, 'clipped text cannot be sent');
    const shown = printable(text);
    ensure(shown.length <= text.length && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(shown), 'something unprintable is left');
    const escaped = escapeText(text);
    ensure(escaped.length <= 6 * text.length && !DANGEROUS.test(escaped), 'something dangerous is left');
    const quoted = quoteText(text);
    ensure(!DANGEROUS.test(quoted) && JSON.parse(quoted) === text, 'quoted text does not read back');
    return { clipped, shown, escaped, quoted };
  },
};

// eslint-disable-next-line no-control-regex -- control characters are the point
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
