// Preamble and answer: round trips at any chunking with the payload behind them intact, and each refusal.

import fc from 'fast-check';
import t from 'tap';
import {
  createPreambleAnswerDecoder, createPreambleDecoder, encodeCborMap, encodePreamble, encodePreambleAnswer,
  FAILURE_CODES, MAX_ANSWER_REASON_LENGTH, MAX_PREAMBLE_BYTES, type FailureCode, type FlowPreamble, type FlowPreambleAnswer,
  type PreambleDecoded, type PreambleDecoder,
} from '@ztna/protocol';
import { chunksOf, code, concat, fractions, name, text } from './wire-arbitraries.js';

const preamble = fc.record({ v: fc.constant(1 as const), kind: fc.constantFrom('tcp', 'udp'), service: name }, { noNullPrototype: true });
const answer: fc.Arbitrary<FlowPreambleAnswer> = fc.oneof(
  fc.constant({ ok: true as const }),
  fc.record({ error: code, reason: text(MAX_ANSWER_REASON_LENGTH) }, { noNullPrototype: true }),
);

void t.test('a preamble round-trips at any chunking, and the payload behind it is complete', async (t) => {
  fc.assert(fc.property(preamble, fc.uint8Array({ maxLength: 60 }), fractions, (value, payload, cuts) => {
    const stream = concat([encodePreamble(value), payload]);
    const { result, payload: received } = readStream(createPreambleDecoder(), chunksOf(stream, cuts));
    t.match(result, { ok: true });
    t.strictSame(result?.ok && result.value, value);
    t.strictSame(received, payload);
  }), { numRuns: 300 });
});

void t.test('an answer round-trips at any chunking, and the payload behind it is complete', async (t) => {
  fc.assert(fc.property(answer, fc.uint8Array({ maxLength: 60 }), fractions, (value, payload, cuts) => {
    const stream = concat([encodePreambleAnswer(value), payload]);
    const { result, payload: received } = readStream(createPreambleAnswerDecoder(), chunksOf(stream, cuts));
    t.strictSame(result?.ok && result.value, value);
    t.strictSame(received, payload);
  }), { numRuns: 300 });
});

void t.test('random bytes never throw', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), fractions, (bytes, isFramed, cuts) => {
    const chunks = chunksOf(isFramed ? framed(bytes) : bytes, cuts);
    for (const decoder of [createPreambleDecoder(), createPreambleAnswerDecoder()]) {
      const { result } = readStream<FlowPreamble | FlowPreambleAnswer>(decoder, chunks);
      if (isFramed && result === undefined) return false;
    }
    return true;
  }), { numRuns: 2000 });
});

void t.test('refuses a preamble, each with its code', async (t) => {
  const cases: [title: string, bytes: Uint8Array, code: FailureCode, reason: RegExp][] = [
    ['513 bytes announced', Uint8Array.of(2, 1), 'preamble_malformed', /513/],
    ['65 535 bytes announced', Uint8Array.of(0xff, 0xff), 'preamble_malformed', /65535/],
    ['no bytes announced', Uint8Array.of(0, 0), 'preamble_malformed', /truncated/],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n'), 'preamble_malformed', /announced/],
    ['not a map', framed(Uint8Array.of(0x80)), 'preamble_malformed', /not_a_map/],
    ['no version', framed(encodeCborMap({ kind: 'tcp', service: 'web' })), 'preamble_malformed', /^v: /],
    ['a version in text', framed(encodeCborMap({ v: '1', kind: 'tcp', service: 'web' })), 'preamble_malformed', /^v: /],
    ['version 2', framed(encodeCborMap({ v: 2, kind: 'tcp', service: 'web' })), 'version_unsupported', /^v: this side speaks 1$/],
    ['version 2 of another shape', framed(encodeCborMap({ v: 2, flow: [] })), 'version_unsupported', /^v: /],
    ['another kind', framed(encodeCborMap({ v: 1, kind: 'sctp', service: 'web' })), 'preamble_malformed', /^kind: /],
    ['a service with a dot', framed(encodeCborMap({ v: 1, kind: 'tcp', service: 'web.internal' })), 'preamble_malformed', /^service: /],
    ['an address for a service', framed(encodeCborMap({ v: 1, kind: 'tcp', service: '10.0.0.1:22' })), 'preamble_malformed', /^service: /],
    ['no service', framed(encodeCborMap({ v: 1, kind: 'tcp' })), 'preamble_malformed', /^service: /],
  ];
  for (const [title, bytes, expected, reason] of cases) {
    t.match(createPreambleDecoder().push(bytes), { ok: false, code: expected, reason }, title);
  }
});

void t.test('refuses an answer that is neither yes nor a code', async (t) => {
  const cases: [title: string, map: Record<string, unknown>, reason: RegExp][] = [
    ['an empty map', {}, /^ok: /],
    ['ok: false', { ok: false }, /^ok: /],
    ['ok: 1', { ok: 1 }, /^ok: /],
    ['a code that is no text', { error: 7, reason: '' }, /^error: /],
    ['no reason', { error: 'flow_reset' }, /^reason: /],
    ['a reason of 129', { error: 'flow_reset', reason: 'x'.repeat(129) }, /^reason: /],
    ['ok beside a broken error', { ok: true, error: 7 }, /^error: /],
  ];
  for (const [title, map, reason] of cases) {
    t.match(createPreambleAnswerDecoder().push(framed(encodeCborMap(map))), { ok: false, code: 'preamble_malformed', reason }, title);
  }
});

void t.test('a failure code of a later version reads as protocol_error', async (t) => {
  const later = framed(encodeCborMap({ error: 'no_such_code', reason: 'said later' }));
  t.match(createPreambleAnswerDecoder().push(later), { ok: true, value: { error: 'protocol_error', reason: 'said later' } });
});

void t.test('an answer with both ok and error is a refusal', async (t) => {
  const both = framed(encodeCborMap({ ok: true, error: 'policy_denied', reason: 'no' }));
  t.match(createPreambleAnswerDecoder().push(both), { ok: true, value: { error: 'policy_denied', reason: 'no' } });
});

void t.test('unknown keys are dropped', async (t) => {
  const body = encodeCborMap({ v: 1, kind: 'tcp', service: 'web', priority: 3 });
  t.strictSame(createPreambleDecoder().push(framed(body)), { ok: true, value: { v: 1, kind: 'tcp', service: 'web' }, rest: new Uint8Array(0) });
});

void t.test('the longest answer of any code fits the cap, and a longer reason is cut to fit', async (t) => {
  const longest = (Object.keys(FAILURE_CODES) as FailureCode[]).reduce((a, b) => (b.length > a.length ? b : a));
  const bytes = encodePreambleAnswer({ error: longest, reason: '\u20ac'.repeat(5000) });
  t.ok(bytes.length <= 2 + MAX_PREAMBLE_BYTES, `${bytes.length} bytes`);
  t.match(createPreambleAnswerDecoder().push(bytes), { ok: true, value: { error: longest, reason: '\u20ac'.repeat(128) } });
});

void t.test('encoding a service that is no name is an error of the caller', async (t) => {
  t.throws(() => encodePreamble({ v: 1, kind: 'tcp', service: 'No Name' }), { code: 'preamble_malformed', message: /^service: / });
});

void t.test('a second preamble is an error of the caller: those bytes are payload', async (t) => {
  const decoder = createPreambleDecoder();
  t.match(decoder.push(encodePreamble({ v: 1, kind: 'tcp', service: 'web' })), { ok: true });
  t.throws(() => decoder.push(Uint8Array.of(1)), { code: 'preamble_finished' });
});

/** What a flow does: feeds chunks until the preamble is there, then keeps the rest as payload. */
function readStream<T>(decoder: PreambleDecoder<T>, chunks: readonly Uint8Array[]): { result: PreambleDecoded<T> | undefined; payload: Uint8Array } {
  let result: PreambleDecoded<T> | undefined;
  const payload: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (result !== undefined) {
      payload.push(chunk);
      continue;
    }
    result = decoder.push(chunk);
    if (result?.ok) payload.push(result.rest);
  }
  return { result, payload: concat(payload) };
}

function framed(body: Uint8Array): Uint8Array {
  return Uint8Array.of(body.length >> 8, body.length & 0xff, ...body);
}
