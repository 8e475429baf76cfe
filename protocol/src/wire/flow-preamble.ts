// The first bytes of a flow's stream and their answer: u16 BE length, one CBOR map (docs/wire-format.md).
// After them the stream is the application's bytes, both ways. Owns the two maps, their bounds and their
// incremental decoder; whether a flow may be is the connector's.

import { z } from 'zod';
import { ZtnaError } from '../errors.js';
import { isName, NAME_RULE } from '../identity.js';
import { decodeCborMap, encodeCborMap, type CborMap } from './cbor.js';
import { clipText } from './clip-text.js';
import { failureCodeSchema } from './control-messages.js';
import { FrameReader } from './frame-reader.js';

export const PREAMBLE_VERSION = 1;
/** Length prefix not counted. The largest map of ours is 3 × 128 bytes of reason and under 60 of keys and code. */
export const MAX_PREAMBLE_BYTES = 512;
/** In UTF-16 code units; a longer reason is cut. */
export const MAX_ANSWER_REASON_LENGTH = 128;
const LENGTH_BYTES = 2;

export const FLOW_KINDS = ['tcp', 'udp'] as const;
export type FlowKind = (typeof FLOW_KINDS)[number];

const preambleSchema = z.object({
  v: z.literal(PREAMBLE_VERSION),
  kind: z.enum(FLOW_KINDS),
  service: z.string().refine(isName, NAME_RULE),
});
const refusalSchema = z.object({
  error: failureCodeSchema,
  reason: z.string().max(MAX_ANSWER_REASON_LENGTH),
});
const acceptanceSchema = z.object({ ok: z.literal(true) });

/** Agent → connector. */
export type FlowPreamble = z.infer<typeof preambleSchema>;
/** Connector → agent. */
export type FlowPreambleAnswer = z.infer<typeof acceptanceSchema> | z.infer<typeof refusalSchema>;

export type PreambleDecoded<T> =
  /** `rest` is what already followed in the last chunk, a view into it: the first bytes of payload. */
  | { readonly ok: true; readonly value: T; readonly rest: Uint8Array }
  | { readonly ok: false; readonly code: 'preamble_malformed' | 'version_unsupported'; readonly reason: string };

/** @throws ZtnaError `preamble_malformed` for a service that is not a name: the caller's fault. */
export const encodePreamble = (preamble: FlowPreamble): Uint8Array => {
  const parsed = preambleSchema.safeParse(preamble);
  if (!parsed.success) throw new ZtnaError('preamble_malformed', describe(parsed.error));
  return frame(encodeCborMap(parsed.data));
};

/** The reason is cut to MAX_ANSWER_REASON_LENGTH, so an answer always fits. */
export const encodePreambleAnswer = (answer: FlowPreambleAnswer): Uint8Array =>
  frame(encodeCborMap('ok' in answer
    ? { ok: true }
    : { error: answer.error, reason: clipText(answer.reason, MAX_ANSWER_REASON_LENGTH) }));

/** For the connector. An unknown `v` is `version_unsupported` whatever else the map holds. */
export const createPreambleDecoder = (): PreambleDecoder<FlowPreamble> => new PreambleDecoder((map) => {
  if (typeof map.v === 'number' && map.v !== PREAMBLE_VERSION) {
    return { ok: false, code: 'version_unsupported', reason: `v: this side speaks ${PREAMBLE_VERSION}` };
  }
  return settle(preambleSchema.safeParse(map));
});

/** For the agent. A map with an `error` is a refusal, whatever else it says. */
export const createPreambleAnswerDecoder = (): PreambleDecoder<FlowPreambleAnswer> =>
  new PreambleDecoder<FlowPreambleAnswer>((map) =>
    ('error' in map ? settle(refusalSchema.safeParse(map)) : settle(acceptanceSchema.safeParse(map))));

type Parsed<T> = { readonly ok: true; readonly value: T } | Extract<PreambleDecoded<T>, { ok: false }>;

/** Decodes one map from the start of a stream fed in arbitrary chunks; holds at most 514 bytes of it. */
export class PreambleDecoder<T> {
  readonly #frames = new FrameReader(LENGTH_BYTES, MAX_PREAMBLE_BYTES);
  readonly #parse: (map: CborMap) => Parsed<T>;
  #finished = false;

  constructor(parse: (map: CborMap) => Parsed<T>) {
    this.#parse = parse;
  }

  /**
   * Undefined while more bytes are needed, then the result, once.
   * @throws ZtnaError `preamble_finished` after that: those bytes are payload, and the caller's to keep.
   */
  push(chunk: Uint8Array): PreambleDecoded<T> | undefined {
    if (this.#finished) throw new ZtnaError('preamble_finished', 'the preamble is over; what follows is payload');
    this.#frames.push(chunk);
    const next = this.#frames.next();
    if (next === undefined) return undefined;
    this.#finished = true;
    if (!next.ok) return malformed(`announced ${next.announced} bytes; at most ${MAX_PREAMBLE_BYTES} are allowed`);
    const decoded = decodeCborMap(next.body);
    if (!decoded.ok) return malformed(`not an acceptable CBOR map: ${decoded.reason}`);
    const parsed = this.#parse(decoded.map);
    return parsed.ok ? { ...parsed, rest: this.#frames.takeRest() } : parsed;
  }
}

const settle = <T>(parsed: z.ZodSafeParseResult<T>): Parsed<T> =>
  parsed.success ? { ok: true, value: parsed.data } : malformed(describe(parsed.error));

const malformed = (reason: string) => ({ ok: false, code: 'preamble_malformed', reason }) as const;

const describe = (error: z.ZodError): string => {
  const issue = error.issues[0];
  return clipText(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`, MAX_ANSWER_REASON_LENGTH);
};

const frame = (body: Uint8Array): Uint8Array => {
  const framed = new Uint8Array(LENGTH_BYTES + body.length);
  new DataView(framed.buffer).setUint16(0, body.length);
  framed.set(body, LENGTH_BYTES);
  return framed;
};
