// Control messages on the wire: u32 BE length, then one CBOR map with the key `type` (docs/wire-format.md).
// Owns the frame, the 64 KiB cap and which faults end the connection; shapes are control-messages.ts,
// who may send what and when is the machines'.

import type { z } from 'zod';
import { ZtnaError } from '../errors.js';
import { decodeCborMap, encodeCborMap } from './cbor.js';
import { clipText } from './clip-text.js';
import {
  controlSchema, isControlType, MAX_ABOUT_LENGTH, MAX_CONTROL_BYTES, MAX_TEXT_LENGTH, type ControlMessage,
} from './control-messages.js';
import { FrameReader } from './frame-reader.js';

const LENGTH_BYTES = 4;

export type ControlFault = {
  readonly ok: false;
  readonly code: 'control_message_too_large' | 'control_message_malformed' | 'unknown_message_type';
  /** For people and logs, at most 256 characters, fit for an `error` message. Quotes nothing the peer sent. */
  readonly reason: string;
  /** The message's type as sent, at most 64 characters; absent when there was none to read. */
  readonly about?: string;
  /** True: close the connection with `code`. False: answer with `error` and read on. */
  readonly fatal: boolean;
};
export type ControlDecoded = { readonly ok: true; readonly message: ControlMessage } | ControlFault;

/**
 * One message, framed, keys in the schema's order, in memory of its own.
 * @throws ZtnaError `control_message_malformed` or `control_message_too_large` when a peer would refuse it
 *   for that: the caller's fault. Pass free text through `clipText` first.
 */
export const encodeControl = (message: ControlMessage): Uint8Array => {
  const parsed = controlSchema(message.type).safeParse(message);
  if (!parsed.success) throw new ZtnaError('control_message_malformed', describeFault(message.type, parsed.error));
  return frameControl(encodeCborMap(parsed.data));
};

/**
 * Puts the length in front of an encoded map.
 * @throws ZtnaError `control_message_too_large` beyond MAX_CONTROL_BYTES.
 */
export const frameControl = (body: Uint8Array): Uint8Array => {
  if (body.length > MAX_CONTROL_BYTES) {
    throw new ZtnaError('control_message_too_large', `control message of ${body.length} bytes; at most ${MAX_CONTROL_BYTES} fit a frame`);
  }
  const frame = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, LENGTH_BYTES);
  return frame;
};

/**
 * Decodes a control stream fed in arbitrary chunks: `push` one, then `next` until undefined. Holds at most one
 * unfinished frame, and of that only what was received. After a fatal fault it gives undefined for ever.
 */
export class ControlDecoder {
  readonly #frames = new FrameReader(LENGTH_BYTES, MAX_CONTROL_BYTES);
  #failed = false;

  /** True inside a frame: a stream that ends here was cut short. */
  get isPartial(): boolean {
    return this.#frames.isPartial;
  }

  /** Borrows `chunk` until `next` gives undefined, or `keepRest` was called. @throws ZtnaError `decoder_not_drained` before that: the caller's fault. */
  push(chunk: Uint8Array): void {
    if (!this.#failed) this.#frames.push(chunk);
  }

  /** Lets go of the chunk before all of it was decoded: the rest is copied. */
  keepRest(): void {
    this.#frames.keepRest();
  }

  next(): ControlDecoded | undefined {
    if (this.#failed) return undefined;
    const frame = this.#frames.next();
    if (frame === undefined) return undefined;
    const decoded = frame.ok ? decodeControlBody(frame.body) : tooLarge(frame.announced);
    if (!decoded.ok && decoded.fatal) {
      this.#failed = true;
      this.#frames.takeRest();
    }
    return decoded;
  }
}

/** One message without its length. Unknown keys are dropped. */
export const decodeControlBody = (body: Uint8Array): ControlDecoded => {
  const decoded = decodeCborMap(body);
  if (!decoded.ok) return malformed(`not an acceptable CBOR map: ${decoded.reason}`);
  const { type } = decoded.map;
  if (typeof type !== 'string') return malformed('type: missing or not text');
  const about = clipText(type, MAX_ABOUT_LENGTH);
  if (!isControlType(type)) {
    return { ok: false, code: 'unknown_message_type', reason: 'no message of that type', about, fatal: false };
  }
  const parsed = controlSchema(type).safeParse(decoded.map);
  return parsed.success ? { ok: true, message: parsed.data } : malformed(describeFault(type, parsed.error), about);
};

const malformed = (reason: string, about?: string): ControlFault =>
  ({ ok: false, code: 'control_message_malformed', reason, ...(about === undefined ? {} : { about }), fatal: true });

const tooLarge = (announced: number): ControlFault => ({
  ok: false,
  code: 'control_message_too_large',
  reason: `announced ${announced} bytes; at most ${MAX_CONTROL_BYTES} are allowed`,
  fatal: true,
});

/** The first fault by key path. Paths and messages come from the schema, never from the peer. */
const describeFault = (type: string, error: z.ZodError): string => {
  const issue = error.issues[0];
  return clipText(`${[type, ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'not valid'}`, MAX_TEXT_LENGTH);
};
