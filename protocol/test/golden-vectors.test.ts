// docs/wire-format.md is the specification: every vector in it decodes to the value stated here and encodes
// back to the same bytes, every truncation is refused or incomplete, and its tables match the code.

import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  ADDRESS_CHECK_BYTES, AddressCheckKind, addressCheckDestination, readAddressCheck, writeAddressCheck,
  AbortNoteDecoder, CONTROL_TYPES, ControlDecoder, createPreambleAnswerDecoder, createPreambleDecoder, decodeHeader, DROP_REASONS,
  encodeAbortNote, encodeControl, encodeHeader, encodePreamble, encodePreambleAnswer, FAILURE_CODES, failureFromNumber, failureNumber, frameControl, packUdpDatagram,
  packUdpFrame, parseUdpDatagram, QuicStream, UdpFrameDecoder,
  type AbortNote, type ControlMessage, type DatagramHeader, type FlowPreamble, type FlowPreambleAnswer, type QuicConnection,
} from '@ztna/protocol';

const session = { slot: 7, tag: 0xdeadbeef };
const ADDRESS_KEY = Uint8Array.from({ length: 32 }, (_, index) => 0x40 + index);
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'ascii'));

const HEADERS: Record<string, DatagramHeader> = {
  'header/data': { type: 0, slot: 7, tag: 0xdeadbeef },
  'header/keepalive': { type: 1, slot: 0, tag: 1 },
  'header/keepaliveAck': { type: 2, slot: 0xffffffff, tag: 0x80000000 },
};

const CONTROL: ControlMessage[] = [
  { type: 'hello', versions: [1], software: 'ztna-agent/0.1.0', role: 'agent' },
  {
    type: 'helloAck',
    version: 1,
    software: 'intermediate-server/0.1.0',
    relay: 'spiffe://example.test/relay/relay-1',
    observed: { host: '203.0.113.7', port: 50123 },
    limits: { maxServices: 64, maxSessions: 1024, maxControlBytes: 65536, idleTimeoutMs: 30000 },
  },
  { type: 'register', token: Uint8Array.of(0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff), takeOver: true },
  { type: 'registerAck', services: ['web', 'ssh-box'] },
  { type: 'registerNack', code: 'token_expired', reason: 'expired 12 s ago' },
  { type: 'open', request: 1, service: 'web' },
  { type: 'opened', request: 1, session, connector: 'spiffe://example.test/connector/connector-1' },
  { type: 'openFailed', request: 2, code: 'policy_denied', reason: 'no rule lets alice open db' },
  { type: 'incoming', session, agent: 'spiffe://example.test/agent/alice', service: 'web' },
  { type: 'accept', session },
  { type: 'reject', session, code: 'service_not_served', reason: 'web is not served here' },
  { type: 'closeSession', session },
  { type: 'sessionMoved', session, before: { slot: 3, tag: 0x01020304 } },
  { type: 'sessionClosed', session, code: 'agent_gone' },
  { type: 'observedAddress', observed: { host: '2001:db8::7', port: 443 } },
  { type: 'drain', deadlineMs: 15000 },
  { type: 'ping', timestamp: 1_700_000_000_000 },
  { type: 'pong', timestamp: 1_700_000_000_000 },
  { type: 'error', code: 'unknown_message_type', reason: 'no message of that type', about: 'teleport' },
];

/** Messages with keys that the plain ones leave out. */
const CONTROL_VARIANTS: Record<string, ControlMessage> = {
  'control/helloAck-worker': { ...CONTROL.find((message) => message.type === 'helloAck')!, worker: { index: 1, count: 4 }, addressKey: ADDRESS_KEY },
};

const PREAMBLES: Record<string, FlowPreamble> = {
  'preamble/tcp': { v: 1, kind: 'tcp', service: 'web' },
  'preamble/udp': { v: 1, kind: 'udp', service: 'dns' },
};

const ANSWERS: Record<string, FlowPreambleAnswer> = {
  'answer/ok': { ok: true },
  'answer/error': { error: 'backend_refused', reason: 'connect ECONNREFUSED' },
};

const UDP_DATAGRAMS: Record<string, { streamId: number; payload: Uint8Array; prefix: number }> = {
  'udp-datagram/1-byte-id': { streamId: 4, payload: ascii('hello'), prefix: 1 },
  'udp-datagram/2-byte-id': { streamId: 15293, payload: ascii('hello'), prefix: 2 },
  'udp-datagram/4-byte-id': { streamId: 494878333, payload: ascii('hello'), prefix: 4 },
  'udp-datagram/8-byte-id': { streamId: 2 ** 32, payload: ascii('hello'), prefix: 8 },
  'udp-datagram/empty-payload': { streamId: 8, payload: ascii(''), prefix: 1 },
};

const UDP_FRAMES: Record<string, Uint8Array> = {
  'udp-stream/payload': ascii('hello'),
  'udp-stream/empty-payload': ascii(''),
};

const ABORT_NOTES: Record<string, AbortNote> = {
  'abort-note/flow-reset': { streamId: 4, code: failureNumber('flow_reset') },
  'abort-note/backend-timeout': { streamId: 15293, code: failureNumber('backend_timeout') },
};

/** Whole inner streams as QUIC carries them, and what their reader is given. */
const STREAMS: Record<string, Uint8Array> = {
  'stream/end': Uint8Array.from([...encodePreambleAnswer({ ok: true }), ...ascii('bye\n')]),
  'stream/end-empty': ascii(''),
};

const document = readFileSync(new URL('../../docs/wire-format.md', import.meta.url), 'utf8');
const vectors = parseVectors(document);
const vector = (name: string): Uint8Array => {
  const bytes = vectors.get(name);
  if (bytes === undefined) throw new Error(`docs/wire-format.md has no vector ${name}`);
  return bytes;
};

void t.test('every vector of the document is covered, and every expectation has its vector', async (t) => {
  const expected = [
    ...Object.keys(HEADERS), ...CONTROL.map(({ type }) => `control/${type}`), ...Object.keys(CONTROL_VARIANTS), ...Object.keys(PREAMBLES),
    ...Object.keys(ANSWERS), ...Object.keys(STREAMS), ...Object.keys(ABORT_NOTES), 'stream/cut', ...Object.keys(AddressCheckKind).map((kind) => `address-check/${kind}`), ...Object.keys(UDP_DATAGRAMS), ...Object.keys(UDP_FRAMES),
  ];
  t.strictSame([...vectors.keys()].sort(), expected.sort());
});

void t.test('every control type has a vector', async (t) => {
  t.strictSame(CONTROL.map(({ type }) => type), CONTROL_TYPES);
});

void t.test('datagram headers decode, encode back, and are refused one byte short of whole', async (t) => {
  for (const [name, header] of Object.entries(HEADERS)) {
    const bytes = vector(name);
    t.equal(bytes.length, 16, name);
    t.strictSame(decodeHeader(bytes), { ok: true, header }, name);
    t.strictSame(encodeHeader(header), bytes, name);
    for (const cut of truncations(bytes)) t.strictSame(decodeHeader(cut), { ok: false, reason: 'header_too_short' }, `${name} at ${cut.length}`);
  }
});

void t.test('control messages decode and encode back', async (t) => {
  for (const message of CONTROL) {
    const bytes = vector(`control/${message.type}`);
    t.strictSame(decodeControl(bytes), [{ ok: true, message }], message.type);
    t.strictSame(encodeControl(message), bytes, message.type);
  }
  for (const [name, message] of Object.entries(CONTROL_VARIANTS)) {
    const bytes = vector(name);
    t.strictSame(decodeControl(bytes), [{ ok: true, message }], name);
    t.strictSame(encodeControl(message), bytes, name);
  }
});

void t.test('a truncated control frame is incomplete, and a frame around a truncated map is malformed', async (t) => {
  for (const { type } of CONTROL) {
    const bytes = vector(`control/${type}`);
    for (const cut of truncations(bytes)) {
      const decoder = new ControlDecoder();
      decoder.push(cut);
      t.equal(decoder.next(), undefined, `${type} at ${cut.length}`);
      t.equal(decoder.isPartial, cut.length > 0, `${type} at ${cut.length}`);
    }
    for (const cut of truncations(bytes.subarray(4))) {
      const [result, ...more] = decodeControl(frameControl(cut));
      t.match(result, { ok: false, code: 'control_message_malformed', fatal: true }, `${type} map at ${cut.length}`);
      t.strictSame(more, []);
    }
  }
});

void t.test('preambles and answers decode, encode back, and stay incomplete until their last byte', async (t) => {
  for (const [name, value] of Object.entries(PREAMBLES)) {
    const bytes = vector(name);
    t.strictSame(createPreambleDecoder().push(bytes), { ok: true, value, rest: ascii('') }, name);
    t.strictSame(encodePreamble(value), bytes, name);
    for (const cut of truncations(bytes)) t.equal(createPreambleDecoder().push(cut), undefined, `${name} at ${cut.length}`);
    for (const cut of truncations(bytes.subarray(2))) {
      t.match(createPreambleDecoder().push(u16Framed(cut)), { ok: false, code: 'preamble_malformed' }, `${name} map at ${cut.length}`);
    }
  }
  for (const [name, value] of Object.entries(ANSWERS)) {
    const bytes = vector(name);
    t.strictSame(createPreambleAnswerDecoder().push(bytes), { ok: true, value, rest: ascii('') }, name);
    t.strictSame(encodePreambleAnswer(value), bytes, name);
    for (const cut of truncations(bytes)) t.equal(createPreambleAnswerDecoder().push(cut), undefined, `${name} at ${cut.length}`);
    for (const cut of truncations(bytes.subarray(2))) {
      t.match(createPreambleAnswerDecoder().push(u16Framed(cut)), { ok: false, code: 'preamble_malformed' }, `${name} map at ${cut.length}`);
    }
  }
});

void t.test('a stream ends with its mark, which the reader takes off; without it the end is a reset', async (t) => {
  for (const [name, payload] of Object.entries(STREAMS)) {
    const bytes = vector(name);
    t.strictSame(readWholeStream(bytes), { payload, isFinished: true, resetCode: undefined }, name);
    t.strictSame(writeWholeStream(payload), bytes, name);
    for (const cut of truncations(bytes)) {
      // One that happens to end in a zero byte is a shorter stream: that a stream is whole is QUIC's to say.
      const last = cut.at(-1);
      const resetCode = last === 0 ? undefined : failureFromNumber(last ?? failureNumber('protocol_error'));
      t.match(readWholeStream(cut), { isFinished: last === 0, resetCode }, `${name} at ${cut.length}`);
    }
    t.match(readWholeStream(Uint8Array.from([...bytes.subarray(0, -1), 1])), { isFinished: false, resetCode: 'protocol_error' }, name);
  }
});

void t.test('a stream that was cut short ends with the number of the reason', async (t) => {
  t.match(readWholeStream(vector('stream/cut')), { payload: Uint8Array.of(), isFinished: false, resetCode: 'flow_reset' });
});

void t.test('abort notes decode, encode back, and stay incomplete until their last byte', async (t) => {
  const all = new AbortNoteDecoder();
  for (const [name, note] of Object.entries(ABORT_NOTES)) {
    const bytes = vector(name);
    t.strictSame(encodeAbortNote(note), bytes, name);
    t.strictSame(all.push(bytes), [note], name);
    for (const cut of truncations(bytes)) {
      const decoder = new AbortNoteDecoder();
      t.strictSame(decoder.push(cut), [], `${name} at ${cut.length}`);
      t.strictSame(decoder.push(bytes.subarray(cut.length)), [note], `${name} from ${cut.length}`);
    }
  }
  t.strictSame(all.push(Uint8Array.from(Object.values(ABORT_NOTES).flatMap((note) => [...encodeAbortNote(note)]))), Object.values(ABORT_NOTES));
  t.equal(all.push(Uint8Array.of(0x04, ...Array<number>(8).fill(0xff))), undefined, 'a code beyond 2^53 - 1');
});

void t.test('UDP datagrams decode and encode back; cut inside the stream id they are refused', async (t) => {
  for (const [name, { streamId, payload, prefix }] of Object.entries(UDP_DATAGRAMS)) {
    const bytes = vector(name);
    t.strictSame(parseUdpDatagram(bytes), { ok: true, streamId, payload }, name);
    t.strictSame(packUdpDatagram(streamId, payload), bytes, name);
    for (const cut of truncations(bytes)) {
      t.strictSame(
        parseUdpDatagram(cut),
        cut.length < prefix ? { ok: false, reason: 'varint_truncated' } : { ok: true, streamId, payload: cut.subarray(prefix) },
        `${name} at ${cut.length}`,
      );
    }
  }
});

void t.test('UDP payloads on the stream decode, encode back, and stay incomplete until their last byte', async (t) => {
  for (const [name, payload] of Object.entries(UDP_FRAMES)) {
    const bytes = vector(name);
    const decoder = new UdpFrameDecoder();
    decoder.push(bytes);
    t.strictSame(decoder.next(), payload, name);
    t.equal(decoder.next(), undefined, name);
    t.strictSame(packUdpFrame(payload), bytes, name);
    for (const cut of truncations(bytes)) {
      const partial = new UdpFrameDecoder();
      partial.push(cut);
      t.equal(partial.next(), undefined, `${name} at ${cut.length}`);
      t.equal(partial.isPartial, cut.length > 0, `${name} at ${cut.length}`);
    }
  }
});

void t.test('address checks are read and written; cut, longer or of the other kind they are refused', async (t) => {
  const nonce = Buffer.from('c0ffee0102030405', 'hex');
  for (const [name, kind] of Object.entries(AddressCheckKind)) {
    const bytes = Buffer.from(vector(`address-check/${name}`));
    t.equal(bytes.length, ADDRESS_CHECK_BYTES, name);
    t.strictSame(readAddressCheck(kind, bytes, ADDRESS_KEY), nonce, name);
    t.equal(addressCheckDestination(bytes), bytes.toString('latin1', 1, 17), name);
    const written = Buffer.alloc(ADDRESS_CHECK_BYTES);
    t.equal(writeAddressCheck(kind, bytes.subarray(1, 17), nonce, ADDRESS_KEY, written), ADDRESS_CHECK_BYTES, name);
    t.strictSame(written, bytes, name);
    for (const other of [...truncations(bytes), Buffer.concat([bytes, Buffer.alloc(1)])]) {
      t.equal(readAddressCheck(kind, Buffer.from(other), ADDRESS_KEY), undefined, `${name} at ${other.length}`);
      t.equal(addressCheckDestination(Buffer.from(other)), undefined, `${name} at ${other.length}`);
    }
    t.equal(readAddressCheck(kind === 0 ? 1 : 0, bytes, ADDRESS_KEY), undefined, `${name} as the other kind`);
    t.equal(readAddressCheck(kind, bytes, new Uint8Array(32)), undefined, `${name} with another key`);
  }
});

void t.test('the failure code table is FAILURE_CODES, number, name and meaning', async (t) => {
  const rows = [...document.matchAll(/^\| `(0x[0-9a-f]{2})` \| `(\w+)` \| (.+) \|$/gm)].map(([, number, code, meaning]) => [code, Number(number), meaning]);
  t.strictSame(rows, Object.entries(FAILURE_CODES).map(([code, { number, meaning }]) => [code, number, meaning]));
  t.equal(new Set(rows.map(([, number]) => number)).size, rows.length, 'numbers are unique');
});

void t.test('the drop reason table is DROP_REASONS', async (t) => {
  const section = document.slice(document.indexOf('### Drop reasons'), document.indexOf('### Vectors'));
  const rows = [...section.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].map(([, reason, meaning]) => [reason, meaning]);
  t.strictSame(rows, Object.entries(DROP_REASONS));
});

void t.test('the message table names every control type and every field', async (t) => {
  const section = document.slice(document.indexOf('## Control messages'), document.indexOf('## Relayed datagrams'));
  const documented = new Map<string, string[]>();
  let type = '';
  for (const [, named, field] of section.matchAll(/^\| (?:`(\w+)`)? ?\| [^|]*\| `(\w+)` \|/gm)) {
    if (named !== undefined) documented.set((type = named), []);
    documented.get(type)!.push(field!);
  }
  const variants = Object.values(CONTROL_VARIANTS);
  const fullest = CONTROL.map((message): ControlMessage => variants.find(({ type: name }) => name === message.type) ?? message);
  t.strictSame([...documented], fullest.map(({ type: name, ...fields }) => [name, Object.keys(fields)]));
});

function parseVectors(text: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const [, name, body] of text.matchAll(/^```vector name=(\S+)\n([\s\S]*?)^```$/gm)) {
    if (found.has(name!)) throw new Error(`two vectors are named ${name!}`);
    const hex = body!.split('\n').map((line) => line.replace(/#.*$/, '').replaceAll(' ', '')).join('');
    if (!/^(?:[0-9a-f]{2})+$/.test(hex)) throw new Error(`vector ${name!} is not hexadecimal`);
    found.set(name!, Uint8Array.from(Buffer.from(hex, 'hex')));
  }
  return found;
}

function truncations(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, length) => bytes.slice(0, length));
}

/** Through QuicStream, over a connection that has the whole stream, FIN included. */
function readWholeStream(bytes: Uint8Array) {
  let resetCode: string | undefined;
  const stream = markedStream({
    lastReadFin: true,
    readStream: (_id, into) => (into.set(bytes), bytes.length),
    writeStream: (_id, mark) => mark.length,
  });
  stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: (code) => (resetCode = code) };
  const into = new Uint8Array(64);
  const count = stream.read(into);
  return { payload: into.slice(0, count), isFinished: stream.readFinished, resetCode };
}

/** What a stream of `payload` and a FIN puts on the wire, and that the FIN goes with its last byte. */
function writeWholeStream(payload: Uint8Array): Uint8Array {
  const written: number[] = [];
  const fins: number[] = [];
  const stream = markedStream({
    writeStream: (_id, bytes, fin) => {
      written.push(...bytes);
      if (fin) fins.push(written.length);
      return bytes.length;
    },
  });
  if (stream.write(payload, true) !== payload.length || fins.join() !== String(written.length)) throw new Error(`FIN after ${fins.join()} of ${written.length} bytes`);
  return Uint8Array.from(written);
}

function markedStream(quic: Partial<QuicConnection>): QuicStream {
  const stream = new QuicStream(0, {
    quic: quic as QuicConnection,
    hasEnded: false,
    markDirty: () => undefined,
    noticeRead: () => undefined,
    noticeWritten: () => undefined,
    setBlocked: () => undefined,
    forget: () => undefined,
    tellAbort: () => undefined,
    discard: () => undefined,
  });
  stream.endMark = true;
  return stream;
}

function decodeControl(bytes: Uint8Array) {
  const decoder = new ControlDecoder();
  decoder.push(bytes);
  const results = [];
  for (let result; (result = decoder.next()); ) results.push(result);
  return results;
}

function u16Framed(body: Uint8Array): Uint8Array {
  return Uint8Array.of(body.length >> 8, body.length & 0xff, ...body);
}
