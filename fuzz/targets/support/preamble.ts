// Feeding a preamble decoder a whole stream: its one result, and all the payload behind it.

import type { PreambleDecoded, PreambleDecoder } from '@ztna/protocol';
import { concat } from './chunks.js';

type Settled<T> = { readonly ok: true; readonly value: T } | Extract<PreambleDecoded<T>, { ok: false }>;

export const decodePreamble = <T>(decoder: PreambleDecoder<T>, chunks: readonly Uint8Array[]): { result: Settled<T> | undefined; rest: Uint8Array } => {
  for (const [index, chunk] of chunks.entries()) {
    const decoded = decoder.push(chunk);
    if (decoded === undefined) continue;
    if (!decoded.ok) return { result: decoded, rest: new Uint8Array(0) };
    return { result: { ok: true, value: decoded.value }, rest: concat(decoded.rest, ...chunks.slice(index + 1)) };
  }
  return { result: undefined, rest: new Uint8Array(0) };
};
