// One control message of every type, the longest words of their vocabulary, and both as bytes.

import { CONTROL_TYPES, FAILURE_CODES, encodeControl, type ControlMessage } from '@ztna/protocol';

const session = { slot: 7, tag: 0xdeadbeef };

export const CONTROL_EXAMPLES: readonly ControlMessage[] = [
  { type: 'hello', versions: [1, 2, 300], software: 'ztna-agent/0.1.0 ü', role: 'agent' },
  {
    type: 'helloAck',
    version: 1,
    software: 'intermediate-server/0.1.0',
    relay: 'spiffe://example.test/relay/relay-1',
    observed: { host: '203.0.113.7', port: 50123 },
    limits: { maxServices: 64, maxSessions: 1024, maxControlBytes: 65536, idleTimeoutMs: 30000 },
    addressKey: new Uint8Array(32).fill(9),
  },
  { type: 'register', token: new Uint8Array(40).fill(7) },
  { type: 'registerAck', services: ['web', 'ssh-box'] },
  { type: 'registerNack', code: 'token_expired', reason: 'expired 12 s ago' },
  { type: 'open', request: 1, service: 'web' },
  { type: 'opened', request: 1, session, connector: 'spiffe://example.test/connector/connector-1' },
  { type: 'openFailed', request: 2, code: 'policy_denied', reason: 'no rule lets alice open db' },
  { type: 'incoming', session, agent: 'spiffe://example.test/agent/alice', service: 'web' },
  { type: 'accept', session },
  { type: 'reject', session, code: 'service_not_served', reason: 'web is not served here' },
  { type: 'closeSession', session },
  { type: 'sessionMoved', session, before: { slot: 8, tag: 1 } },
  { type: 'sessionClosed', session, code: 'agent_gone' },
  { type: 'observedAddress', observed: { host: '2001:db8::7', port: 443 } },
  { type: 'drain', deadlineMs: 15000 },
  { type: 'ping', timestamp: 1_700_000_000_000 },
  { type: 'pong', timestamp: 1.5 },
  { type: 'error', code: 'unknown_message_type', reason: 'no message of that type', about: 'teleport' },
];

export const controlFrames = (): Uint8Array[] => CONTROL_EXAMPLES.map(encodeControl);

const FIELDS = ['type', ...new Set(CONTROL_EXAMPLES.flatMap((message) => Object.keys(message)))];
/** A CBOR text with its head. */
const cborText = (text: string): Uint8Array => new Uint8Array([0x60 | text.length, ...Buffer.from(text)]);

export const CONTROL_WORDS: readonly Uint8Array[] = [
  ...[...CONTROL_TYPES, ...FIELDS, 'slot', 'tag', 'host', 'port', 'agent', 'connector', 'relay', '__proto__'].filter((text) => text.length < 24).map(cborText),
  ...Object.keys(FAILURE_CODES).slice(0, 8).filter((text) => text.length < 24).map(cborText),
];

/** Heads that change how much follows: depth, counts, widths, tags, floats, a byte order mark. */
export const CBOR_WORDS: readonly Uint8Array[] = [
  [0x80], [0x81], [0xa0], [0xa1], [0x98, 0xff], [0xb8, 0x40], [0x9a, 0xff, 0xff, 0xff, 0xff], [0xbb, 0, 0, 0, 1, 0, 0, 0, 0],
  [0x1b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x3b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [0x1a, 0xff, 0xff, 0xff, 0xff],
  [0xf4], [0xf5], [0xf6], [0xf7], [0xf9, 0x7e, 0], [0xfa, 0x7f, 0x80, 0, 0], [0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xc1], [0xd8, 0x40], [0x5f], [0x7f], [0x9f], [0xbf], [0xff], [0xd9, 0xdf, 0xff], [0x63, 0xef, 0xbb, 0xbf], [0x63, 0xed, 0xa0, 0x80],
].map((bytes) => Uint8Array.from(bytes));
