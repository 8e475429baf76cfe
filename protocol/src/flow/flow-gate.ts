// Whether a flow may start: the few bytes before its payload. On the agent the connector's answer
// closes the gate until it is in; refused, the local side never sees a byte.

import type { FailureCode } from '../failure-codes.js';
import { createPreambleAnswerDecoder } from '../wire/flow-preamble.js';

/** Not yet decided; open, with the bytes that follow; or refused. */
export type GateOutcome = 'wait' | { readonly rest: Buffer } | { readonly refused: FailureCode };

/** Looks at a stream's first bytes before anybody else does. */
export type StreamGate = (chunk: Buffer) => GateOutcome;

/** The agent's gate: waits for the connector's answer and reports what it was, once. */
export const createAnswerGate = (onAnswer: (refusal: { code: FailureCode; reason: string } | undefined) => void): StreamGate => {
  const decoder = createPreambleAnswerDecoder();
  return (chunk) => {
    const decoded = decoder.push(chunk);
    if (!decoded) return 'wait';
    if (!decoded.ok) {
      onAnswer({ code: decoded.code, reason: decoded.reason });
      return { refused: decoded.code };
    }
    if ('error' in decoded.value) {
      onAnswer({ code: decoded.value.error, reason: decoded.value.reason });
      return { refused: decoded.value.error };
    }
    onAnswer(undefined);
    const { rest } = decoded;
    return { rest: Buffer.from(rest.buffer, rest.byteOffset, rest.byteLength) };
  };
};
