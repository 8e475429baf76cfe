// Control frames: round trips, chunking, each fault with its code and whether it is fatal, and memory
// against a peer that announces much and sends little.

import fc from 'fast-check';
import t from 'tap';
import {
  CONTROL_TYPES, ControlDecoder, encodeCborMap, encodeControl, frameControl, MAX_CONTROL_BYTES, ZtnaError,
  type ControlDecoded, type ControlMessage,
} from '@ztna/protocol';
import { chunksOf, concat, CONTROL_ARBITRARIES, controlMessage, fractions } from './wire-arbitraries.js';

for (const type of CONTROL_TYPES) {
  void t.test(`${type} round-trips for any value within its bounds`, async (t) => {
    fc.assert(fc.property(CONTROL_ARBITRARIES[type] as fc.Arbitrary<ControlMessage>, (message) => {
      t.strictSame(decodeAll([encodeControl(message)]), [{ ok: true, message }]);
    }), { numRuns: 60 });
  });
}

void t.test('cutting a stream anywhere gives the same messages', async (t) => {
  fc.assert(fc.property(fc.array(controlMessage, { minLength: 1, maxLength: 5 }), fractions, (messages, cuts) => {
    const chunks = chunksOf(concat(messages.map(encodeControl)), cuts);
    t.strictSame(decodeAll(chunks), messages.map((message) => ({ ok: true, message })));
  }), { numRuns: 150 });
});

void t.test('a chunk may be overwritten once it is drained', async (t) => {
  const message: ControlMessage = { type: 'register', token: Uint8Array.of(1, 2, 3) };
  const frame = encodeControl(message);
  const decoder = new ControlDecoder();
  const buffer = new Uint8Array(7);
  const results = [];
  for (let offset = 0; offset < frame.length; offset += buffer.length) {
    const chunk = buffer.subarray(0, Math.min(buffer.length, frame.length - offset));
    chunk.set(frame.subarray(offset, offset + chunk.length));
    decoder.push(chunk);
    for (let result; (result = decoder.next()); ) results.push(result);
    buffer.fill(0xff);
  }
  t.strictSame(results, [{ ok: true, message }]);
});

void t.test('random bytes never throw, framed or not, and a fatal fault is the last word', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), fractions, (bytes, framed, cuts) => {
    const results = decodeAll(chunksOf(framed ? frameControl(bytes) : bytes, cuts));
    return results.slice(0, -1).every((result) => result.ok || !result.fatal);
  }), { numRuns: 2000 });
});

void t.test('a valid message with one byte changed never throws', async () => {
  fc.assert(fc.property(controlMessage, fc.nat(), fc.nat({ max: 255 }), (message, position, byte) => {
    const frame = encodeControl(message);
    frame[position % frame.length] = byte;
    return Array.isArray(decodeAll([frame]));
  }), { numRuns: 500 });
});

void t.test('an announced length beyond the cap is fatal as soon as the length is known', async (t) => {
  for (const announced of [MAX_CONTROL_BYTES + 1, 0x7fff_ffff, 0xffff_ffff]) {
    const prefix = new Uint8Array(4);
    new DataView(prefix.buffer).setUint32(0, announced);
    const decoder = new ControlDecoder();
    decoder.push(prefix.subarray(0, 3));
    t.equal(decoder.next(), undefined);
    decoder.push(prefix.subarray(3));
    t.match(decoder.next(), { ok: false, code: 'control_message_too_large', reason: String(announced), fatal: true });
    decoder.push(encodeControl({ type: 'ping', timestamp: 1 }));
    t.equal(decoder.next(), undefined, 'nothing is decoded after it');
  }
});

void t.test('a frame of exactly the cap is decoded, one byte more cannot be framed', async (t) => {
  // The padding is an unknown key: 1 map head, "type" 5, "ping" 5, "timestamp" 10, value 1, "p" 2, text head 3 = 27
  const padded = (length: number) => encodeCborMap({ type: 'ping', timestamp: 1, p: 'x'.repeat(length - 27) });
  const largest = padded(MAX_CONTROL_BYTES);
  t.equal(largest.length, MAX_CONTROL_BYTES);
  t.strictSame(decodeAll([frameControl(largest)]), [{ ok: true, message: { type: 'ping', timestamp: 1 } }]);
  t.throws(() => frameControl(padded(MAX_CONTROL_BYTES + 1)), { code: 'control_message_too_large' });
});

void t.test('a failure code of a later version reads as protocol_error and keeps its reason', async (t) => {
  const decoded = decodeAll([frameControl(encodeCborMap({ type: 'registerNack', code: 'no_such_code', reason: 'said later' }))]);
  t.match(decoded, [{ ok: true, message: { type: 'registerNack', code: 'protocol_error', reason: 'said later' } }]);
});

void t.test('encoding an invalid message is an error of the caller, by key path', async (t) => {
  const bad: [unknown, RegExp][] = [
    [{ type: 'register', token: new Uint8Array(8193) }, /^register\.token: more than 8192 bytes$/],
    [{ type: 'open', request: -1, service: 'web' }, /^open\.request: /],
    [{ type: 'opened', request: 1, session: { slot: 1 }, connector: 'spiffe://a/connector/c' }, /^opened\.session\.tag: /],
    [{ type: 'registerNack', code: 7, reason: '' }, /^registerNack\.code: /],
    [{ type: 'registerNack', code: 'no_error', reason: 'x'.repeat(257) }, /^registerNack\.reason: /],
  ];
  for (const [message, expected] of bad) {
    t.throws(() => encodeControl(message as ControlMessage), { code: 'control_message_malformed', message: expected });
  }
  t.throws(() => encodeControl({ type: 'registerNack', code: 'no_error', reason: '\ud800' }), { code: 'cbor_unencodable' });
});

void t.test('an unknown type is answered and read past', async (t) => {
  const results = decodeAll([concat([
    frameControl(encodeCborMap({ type: 'teleport', to: [1, 2] })),
    encodeControl({ type: 'ping', timestamp: 1 }),
  ])]);
  t.strictSame(results, [
    { ok: false, code: 'unknown_message_type', reason: 'no message of that type', about: 'teleport', fatal: false },
    { ok: true, message: { type: 'ping', timestamp: 1 } },
  ]);
});

void t.test('a type named like a property of every object is unknown, not found', async (t) => {
  for (const type of ['constructor', 'toString', 'hasOwnProperty', '']) {
    t.match(decodeAll([frameControl(encodeCborMap({ type }))]), [{ code: 'unknown_message_type', about: type, fatal: false }], type);
  }
});

void t.test('whatever an unknown type looks like, its error answer can be encoded', async () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', minLength: 60, maxLength: 70 }), (type) => {
    if (type.startsWith('\ufeff')) return true;
    const [fault] = decodeAll([frameControl(encodeCborMap({ type }))]);
    if (fault === undefined || fault.ok || fault.about === undefined) return false;
    const answer: ControlMessage = { type: 'error', code: fault.code, reason: fault.reason, about: fault.about };
    return fault.about.length <= 64 && encodeControl(answer).length > 0;
  }), { numRuns: 500, examples: [[`${'x'.repeat(63)}\u{1f600}`]] });
});

void t.test('a malformed message is fatal, and says where without quoting the peer', async (t) => {
  const secret = 'SECRET';
  const cases: [title: string, body: Uint8Array, about: string | undefined, reason: RegExp][] = [
    ['an empty frame', new Uint8Array(0), undefined, /truncated/],
    ['not CBOR', Uint8Array.of(0xff), undefined, /indefinite_length/],
    ['not a map', Uint8Array.of(0x80), undefined, /not_a_map/],
    ['a tag', Uint8Array.of(0xc1, 0x00), undefined, /tag/],
    ['bytes after the map', Uint8Array.of(0xa0, 0x00), undefined, /trailing_bytes/],
    ['no type', encodeCborMap({ request: 1 }), undefined, /^type: /],
    ['a type that is not text', encodeCborMap({ type: 1 }), undefined, /^type: /],
    ['a missing field', encodeCborMap({ type: 'open', request: 1 }), 'open', /^open\.service: /],
    ['a field of another kind', encodeCborMap({ type: 'open', request: secret, service: 'web' }), 'open', /^open\.request: /],
    ['a fraction for an integer', encodeCborMap({ type: 'open', request: 1.5, service: 'web' }), 'open', /^open\.request: /],
    ['beyond u32', encodeCborMap({ type: 'open', request: 2 ** 32, service: 'web' }), 'open', /^open\.request: /],
    ['text for bytes', encodeCborMap({ type: 'register', token: secret }), 'register', /^register\.token: /],
    ['a role of our own making', encodeCborMap({ type: 'hello', versions: [1], software: '', role: secret }), 'hello', /^hello\.role: /],
    ['no versions', encodeCborMap({ type: 'hello', versions: [], software: '', role: 'agent' }), 'hello', /^hello\.versions: /],
    ['17 versions', encodeCborMap({ type: 'hello', versions: Array(17).fill(1), software: '', role: 'agent' }), 'hello', /^hello\.versions: /],
    ['65 services', encodeCborMap({ type: 'registerAck', services: Array(65).fill('web') }), 'registerAck', /^registerAck\.services: /],
    ['a service that is no name', encodeCborMap({ type: 'registerAck', services: ['web', secret] }), 'registerAck', /^registerAck\.services\.1: /],
    ['an identity that is none', encodeCborMap({ type: 'incoming', session: { slot: 1, tag: 2 }, agent: secret, service: 'web' }), 'incoming', /^incoming\.agent: /],
    ['not a number', encodeCborMap({ type: 'ping', timestamp: Number.NaN }), 'ping', /^ping\.timestamp: /],
    ['an infinite time', encodeCborMap({ type: 'ping', timestamp: Infinity }), 'ping', /^ping\.timestamp: /],
    ['a code that is no text', encodeCborMap({ type: 'registerNack', code: 7, reason: secret }), 'registerNack', /^registerNack\.code: /],
  ];
  for (const [title, body, about, reason] of cases) {
    const [fault, ...more] = decodeAll([concat([frameControl(body), encodeControl({ type: 'ping', timestamp: 1 })])]);
    t.match(fault, { ok: false, code: 'control_message_malformed', reason, fatal: true }, title);
    t.equal(fault?.ok === false ? fault.about : '', about, title);
    t.notMatch(fault?.ok === false ? fault.reason : secret, secret, title);
    t.strictSame(more, [], `${title}: nothing is decoded after it`);
    const later = decodeAll([frameControl(body), encodeControl({ type: 'ping', timestamp: 1 })]);
    t.equal(later.length, 1, `${title}: nor in a later chunk`);
  }
});

void t.test('the longest value of every field passes, and one more does not', async (t) => {
  const label = (length: number): string => 'a'.repeat(length);
  const session = { slot: 0xffff_ffff, tag: 0 };
  const at: Record<string, [(size: number) => ControlMessage, number]> = {
    versions: [(size) => ({ type: 'hello', versions: Array<number>(size).fill(1), software: '', role: 'relay' }), 16],
    software: [(size) => ({ type: 'hello', versions: [1], software: label(size), role: 'relay' }), 256],
    token: [(size) => ({ type: 'register', token: new Uint8Array(size) }), 8192],
    services: [(size) => ({ type: 'registerAck', services: Array<string>(size).fill('web') }), 64],
    name: [(size) => ({ type: 'incoming', session, agent: 'spiffe://a/agent/b', service: label(size) }), 63],
    service: [(size) => ({ type: 'open', request: 0, service: label(size) }), 256],
    request: [(size) => ({ type: 'open', request: size, service: '' }), 0xffff_ffff],
    reason: [(size) => ({ type: 'reject', session, code: 'no_error', reason: label(size) }), 256],
    host: [(size) => ({ type: 'observedAddress', observed: { host: label(size), port: 0 } }), 45],
    port: [(size) => ({ type: 'observedAddress', observed: { host: '', port: size } }), 65535],
    deadlineMs: [(size) => ({ type: 'drain', deadlineMs: size }), 86_400_000],
    timestamp: [(size) => ({ type: 'pong', timestamp: size }), Number.MAX_SAFE_INTEGER],
    about: [(size) => ({ type: 'error', code: 'no_error', reason: '', about: label(size) }), 64],
  };
  for (const [field, [message, most]] of Object.entries(at)) {
    t.strictSame(decodeAll([encodeControl(message(most))]), [{ ok: true, message: message(most) }], `${field} of ${most}`);
    t.throws(() => encodeControl(message(most + 1)), { code: 'control_message_malformed' }, `${field} of ${most + 1}`);
  }
});

void t.test('unknown keys are dropped, at the top and below', async (t) => {
  const body = encodeCborMap({ later: [1], type: 'accept', session: { slot: 1, tag: 2, more: true } });
  t.strictSame(decodeAll([frameControl(body)]), [{ ok: true, message: { type: 'accept', session: { slot: 1, tag: 2 } } }]);
});

void t.test('pushing before the last chunk is drained is an error of the caller', async (t) => {
  const decoder = new ControlDecoder();
  decoder.push(encodeControl({ type: 'ping', timestamp: 1 }));
  t.throws(() => decoder.push(Uint8Array.of(0)), new ZtnaError('decoder_not_drained', 'push() before next() returned undefined; drain the decoder first'));
  t.match(decoder.next(), { ok: true });
  t.equal(decoder.next(), undefined);
  t.doesNotThrow(() => decoder.push(Uint8Array.of(0)));
});

void t.test('a chunk may be used anew once its rest was kept', async (t) => {
  const decoder = new ControlDecoder();
  const stream = Buffer.concat([1, 2, 3].map((timestamp) => encodeControl({ type: 'ping', timestamp })));
  const chunk = Buffer.from(stream.subarray(0, -1));
  decoder.push(chunk);
  t.match(decoder.next(), { ok: true, message: { timestamp: 1 } });
  decoder.keepRest();
  chunk.fill(0xff);
  t.match(decoder.next(), { ok: true, message: { timestamp: 2 } });
  t.equal(decoder.next(), undefined);
  decoder.keepRest();
  decoder.push(stream.subarray(-1));
  t.match(decoder.next(), { ok: true, message: { timestamp: 3 } });
});

void t.test('memory follows the bytes received, not the length announced', async (t) => {
  const announced = Uint8Array.of(0, 1, 0, 0, 0xa1);
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 1000 }, () => {
    const decoder = new ControlDecoder();
    decoder.push(announced);
    decoder.next();
    return decoder;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  t.ok(decoders.every((decoder) => decoder.isPartial));
  t.ok(grown < 1024 * 1024, `1000 peers announced 64 MB in all and sent 5 bytes each: ${grown} bytes held`);
});

void t.test('byte-at-a-time feeding copies each byte a bounded number of times', async (t) => {
  const frame = frameControl(encodeCborMap({ type: 'ping', timestamp: 1, p: 'x'.repeat(60_000) }));
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
  const original = Uint8Array.prototype.set;
  let copied = 0;
  t.teardown(() => (Uint8Array.prototype.set = original));
  const decoder = new ControlDecoder();
  const results: ControlDecoded[] = [];
  Uint8Array.prototype.set = function (source: ArrayLike<number>, offset?: number) {
    copied += source.length;
    original.call(this, source, offset);
  };
  for (const byte of frame) {
    decoder.push(Uint8Array.of(byte));
    for (let result; (result = decoder.next()); ) results.push(result);
  }
  Uint8Array.prototype.set = original;
  t.match(results, [{ ok: true, message: { type: 'ping' } }]);
  t.ok(copied >= frame.length - 4 && copied <= 4 * frame.length, `${copied} bytes copied for a frame of ${frame.length}`);
});

function decodeAll(chunks: readonly Uint8Array[]): ControlDecoded[] {
  const decoder = new ControlDecoder();
  const results: ControlDecoded[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let result; (result = decoder.next()); ) results.push(result);
  }
  return results;
}
