// fast-check arbitraries for what crosses the wire, one per control type, and random cuts of a byte stream.
// Bounds are those of docs/wire-format.md, written out again so that a loosened schema is noticed.

import fc from 'fast-check';
import { FAILURE_CODES, type ControlMessageOf, type ControlType, type FailureCode } from '@ztna/protocol';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const inner = fc.string({ unit: fc.constantFrom(...LETTERS, '-'), maxLength: 61 });
const edge = fc.constantFrom(...LETTERS);

export const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
export const name = fc.oneof(edge, fc.tuple(edge, inner, edge).map((parts) => parts.join('')));
/** Any well-formed text but for a leading byte order mark, which the guard refuses. Length in UTF-16 code units. */
export const text = (max: number) =>
  fc.string({ unit: 'binary', maxLength: max }).filter((value) => value.length <= max && !value.startsWith('\ufeff'));
export const code = fc.constantFrom(...(Object.keys(FAILURE_CODES) as FailureCode[]));
export const bytes = (max: number) => fc.uint8Array({ maxLength: max });

const domain = fc.array(name, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.')).filter((value) => value.length <= 180);
const identity = fc.tuple(domain, fc.constantFrom('agent', 'connector', 'relay'), name)
  .map(([trustDomain, role, id]) => `spiffe://${trustDomain}/${role}/${id}`);
const session = fc.record({ slot: u32, tag: u32 }, { noNullPrototype: true });
const observed = fc.record(
  { host: fc.oneof(fc.ipV4(), fc.ipV6()).filter((host) => host.length <= 45), port: fc.integer({ min: 0, max: 65535 }) },
  { noNullPrototype: true },
);
const durationMs = fc.integer({ min: 0, max: 86_400_000 });
const timestamp = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true }),
);
const plain = { noNullPrototype: true } as const;
const type = <T extends ControlType>(value: T) => fc.constant(value);

export const CONTROL_ARBITRARIES: { [T in ControlType]: fc.Arbitrary<ControlMessageOf<T>> } = {
  hello: fc.record({
    type: type('hello'),
    versions: fc.array(u32, { minLength: 1, maxLength: 16 }),
    software: text(256),
    role: fc.constantFrom('agent', 'connector', 'relay'),
  }, plain),
  helloAck: fc.record({
    type: type('helloAck'),
    version: u32,
    software: text(256),
    relay: identity,
    observed,
    limits: fc.record({ maxServices: u32, maxSessions: u32, maxControlBytes: u32, idleTimeoutMs: durationMs }, plain),
    worker: fc.integer({ min: 2, max: 64 }).chain((count) => fc.record({ index: fc.integer({ min: 0, max: count - 1 }), count: fc.constant(count) }, plain)),
    addressKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }, { ...plain, requiredKeys: ['type', 'version', 'software', 'relay', 'observed', 'limits'] }),
  register: fc.record({ type: type('register'), token: bytes(8192), takeOver: fc.boolean() }, { ...plain, requiredKeys: ['type', 'token'] }),
  registerAck: fc.record({ type: type('registerAck'), services: fc.array(name, { maxLength: 64 }) }, plain),
  registerNack: fc.record({ type: type('registerNack'), code, reason: text(256) }, plain),
  open: fc.record({ type: type('open'), request: u32, service: text(256) }, plain),
  opened: fc.record({ type: type('opened'), request: u32, session, connector: identity }, plain),
  openFailed: fc.record({ type: type('openFailed'), request: u32, code, reason: text(256) }, plain),
  incoming: fc.record({ type: type('incoming'), session, agent: identity, service: name }, plain),
  accept: fc.record({ type: type('accept'), session }, plain),
  reject: fc.record({ type: type('reject'), session, code, reason: text(256) }, plain),
  closeSession: fc.record({ type: type('closeSession'), session }, plain),
  sessionMoved: fc.record({ type: type('sessionMoved'), session, before: session }, plain),
  sessionClosed: fc.record({ type: type('sessionClosed'), session, code }, plain),
  observedAddress: fc.record({ type: type('observedAddress'), observed }, plain),
  drain: fc.record({ type: type('drain'), deadlineMs: durationMs }, plain),
  ping: fc.record({ type: type('ping'), timestamp }, plain),
  pong: fc.record({ type: type('pong'), timestamp }, plain),
  error: fc.record({ type: type('error'), code, reason: text(256), about: text(64) }, plain),
};

export const controlMessage = fc.oneof(...Object.values(CONTROL_ARBITRARIES));

/** Cuts `whole` at the given fractions of its length; empty chunks included. */
export const chunksOf = (whole: Uint8Array, fractions: readonly number[]): Uint8Array[] => {
  const cuts = [0, ...fractions.map((fraction) => Math.floor(fraction * whole.length)).sort((a, b) => a - b), whole.length];
  return cuts.slice(1).map((end, index) => whole.slice(cuts[index], end));
};

export const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

export const concat = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
