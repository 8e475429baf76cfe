// One control message without its length: guard, CBOR and schema.

import { clipText, decodeControlBody, encodeControl, MAX_ABOUT_LENGTH, MAX_CONTROL_BYTES, MAX_TEXT_LENGTH } from '@ztna/protocol';
import { CBOR_WORDS, CONTROL_WORDS, controlFrames } from './support/control-examples.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { sameValue } from './support/same-value.js';

export const target: FuzzTarget = {
  decodes: 'decodeControlBody: guardCbor, decodeCborMap, controlSchema',
  maxBytes: 4096,
  memory: { base: 262_144, perByte: 1024 },
  dictionary: [...CONTROL_WORDS, ...CBOR_WORDS],
  *seeds() {
    for (const frame of controlFrames()) yield frame.subarray(4);
  },
  run(input) {
    const decoded = decodeControlBody(input);
    if (!decoded.ok) {
      const { code, reason, about = '' } = decoded;
      ensure(reason.length <= MAX_TEXT_LENGTH && about.length <= MAX_ABOUT_LENGTH, 'a fault is longer than an error message may be');
      ensure(!reason.includes('undecodable'), 'the guard admitted what cbor-x refuses');
      // What the driver answers must be sendable, whatever the type was.
      ensure(encodeControl({ type: 'error', code, reason, about }).length <= MAX_CONTROL_BYTES, 'the answer to it is too large');
      return decoded;
    }
    const { message } = decoded;
    // Our own encoder refuses text that begins with a byte order mark, and so does the guard.
    const again = decodeControlBody(encodeControl(message).subarray(4));
    ensure(again.ok && sameValue(again.message, message), `encoding again reads as something else: ${clipText(JSON.stringify(message), 200)}`);
    return message;
  },
};
