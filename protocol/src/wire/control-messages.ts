// The control messages and their schema. Stream 0 of the outer connection opens with `hello`;
// the flow is drawn in docs/wire-format.md:
//
//   client                         relay
//   hello, register ─────────────►
//                   ◄───────────── helloAck, registerAck | registerNack
//   agent: open ─────────────────► incoming ──► connector
//          opened | openFailed ◄── accept | reject ◄──
//
// Owns shapes and bounds; framing and CBOR are control-codec.ts. Unknown keys are dropped by the schema.

import { z } from 'zod';
import { failureFromName } from '../failure-codes.js';
import { isName, parseIdentity, ROLES } from '../identity.js';

export const PROTOCOL_VERSION = 1;
/** u32 length prefix not counted. Design §6: large enough for 64 services, small enough to buffer per peer. */
export const MAX_CONTROL_BYTES = 64 * 1024;
export const MAX_SERVICES_PER_REGISTRATION = 64;
/** A token is about 400 bytes with one service; 64 services of 63 bytes take 4.2 KiB. */
export const MAX_TOKEN_BYTES = 8192;
/** Free text (`software`, `reason`) in UTF-16 code units, 3 bytes each at most; `clipText` cuts to it. */
export const MAX_TEXT_LENGTH = 256;
export const MAX_ABOUT_LENGTH = 64;
/** Known to the two ends of one connection: the relay makes it up. As long as HMAC-SHA256's output (RFC 2104 §3). */
export const ADDRESS_KEY_BYTES = 32;
/** Workers of one relay: more than any machine is worth, and what a relay can have a connector connect to at most. */
export const MAX_WORKERS = 64;

const u32 = z.int().min(0).max(0xffff_ffff);
const text = z.string().max(MAX_TEXT_LENGTH);
const name = z.string().refine(isName, 'not a valid name');
const identity = z.string().max(512).refine((uri) => parseIdentity(uri) !== undefined, 'not a valid identity');
/** A failure code by name; one this version does not know reads as `protocol_error`. */
export const failureCodeSchema = z.string().max(MAX_ABOUT_LENGTH).transform(failureFromName);
const code = failureCodeSchema;
const handle = z.object({ slot: u32, tag: u32 });
const exactBytes = (length: number) => z.instanceof(Uint8Array).refine((b) => b.length === length, `not ${length} bytes`);
const bytes = (max: number) => z.instanceof(Uint8Array).refine((b) => b.length <= max, `more than ${max} bytes`);
const address = z.object({ host: z.string().max(45), port: z.int().min(0).max(65535) });
const role = z.enum(ROLES);
/** Milliseconds since the Unix epoch. */
const epochMs = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
/** Which of the relay's workers answers, and how many there are. */
const workerPlace = z
  .object({ index: u32, count: z.int().min(2).max(MAX_WORKERS) })
  .refine(({ index, count }) => index < count, 'index is not below count');
const durationMs = z.int().min(0).max(86_400_000);

const messages = {
  hello: z.object({ type: z.literal('hello'), versions: z.array(u32).min(1).max(16), software: text, role }),
  helloAck: z.object({
    type: z.literal('helloAck'),
    version: u32,
    software: text,
    relay: identity,
    observed: address,
    limits: z.object({ maxServices: u32, maxSessions: u32, maxControlBytes: u32, idleTimeoutMs: durationMs }),
    /** Absent at a relay without workers. */
    worker: workerPlace.optional(),
    /** What challenges of the client's address are known by; absent at a relay that does not follow clients that move. */
    addressKey: exactBytes(ADDRESS_KEY_BYTES).optional(),
  }),
  /** `takeOver`: the connection on which this identity is registered is the sender's own, and gives its sessions to this one. */
  register: z.object({ type: z.literal('register'), token: bytes(MAX_TOKEN_BYTES), takeOver: z.boolean().optional() }),
  registerAck: z.object({ type: z.literal('registerAck'), services: z.array(name).max(MAX_SERVICES_PER_REGISTRATION) }),
  registerNack: z.object({ type: z.literal('registerNack'), code, reason: text }),
  open: z.object({ type: z.literal('open'), request: u32, service: z.string().max(MAX_TEXT_LENGTH) }),
  opened: z.object({ type: z.literal('opened'), request: u32, session: handle, connector: identity }),
  openFailed: z.object({ type: z.literal('openFailed'), request: u32, code, reason: text }),
  incoming: z.object({ type: z.literal('incoming'), session: handle, agent: identity, service: name }),
  accept: z.object({ type: z.literal('accept'), session: handle }),
  reject: z.object({ type: z.literal('reject'), session: handle, code, reason: text }),
  /** Client → relay: this side is done with a session. Answered with `sessionClosed` to the other side. */
  closeSession: z.object({ type: z.literal('closeSession'), session: handle }),
  /** Relay → connector: the session that was `before` on the connection this one took over from goes by `session` here. */
  sessionMoved: z.object({ type: z.literal('sessionMoved'), session: handle, before: handle }),
  sessionClosed: z.object({ type: z.literal('sessionClosed'), session: handle, code }),
  observedAddress: z.object({ type: z.literal('observedAddress'), observed: address }),
  drain: z.object({ type: z.literal('drain'), deadlineMs: durationMs }),
  ping: z.object({ type: z.literal('ping'), timestamp: epochMs }),
  pong: z.object({ type: z.literal('pong'), timestamp: epochMs }),
  /** The answer to a message that could not be acted on; `about` is its type as sent, cut to 64 characters. */
  error: z.object({ type: z.literal('error'), code, reason: text, about: z.string().max(MAX_ABOUT_LENGTH) }),
} as const;

export type ControlType = keyof typeof messages;
export type ControlMessageOf<T extends ControlType> = z.infer<(typeof messages)[T]>;
export type ControlMessage = { [T in ControlType]: ControlMessageOf<T> }[ControlType];
/** A session end as its owner names it in datagrams and messages. */
export type SessionHandle = z.infer<typeof handle>;
export type ObservedAddress = z.infer<typeof address>;
export type WorkerPlace = Readonly<z.infer<typeof workerPlace>>;

/** Every type, in the order of the table in docs/wire-format.md. */
export const CONTROL_TYPES = Object.keys(messages) as readonly ControlType[];

export const isControlType = (type: string): type is ControlType => Object.hasOwn(messages, type);

/** The schema of one type, for the codec. */
export const controlSchema = (type: ControlType): z.ZodType<ControlMessage> => messages[type];
