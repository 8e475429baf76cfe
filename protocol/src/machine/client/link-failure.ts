// Why a link went down, and whether trying again soon can help.

import type { FailureCode } from '../../failure-codes.js';
import { printable } from '../../wire/printable-text.js';

/** The end of a connection, or of an attempt at one. */
export interface LinkFailure {
  readonly code: FailureCode;
  /** One sentence for people, safe to print. */
  readonly reason: string;
  /** A peer answered and said no, as opposed to nobody answering or the path breaking. */
  readonly refusal: boolean;
}

/** Ends that say nothing about this client's certificate, key or registration. */
const TRANSIENT_CODES: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'no_error',
  'internal_error',
  'idle_timeout',
  'connection_lost',
  'draining',
  'handshake_timeout',
  'slow_reader',
  'relay_unreachable',
]);

/** A failure as a connection's close reports it. */
export const closeFailure = (code: FailureCode, reason: string): LinkFailure => ({
  code,
  reason: printable(reason),
  refusal: !TRANSIENT_CODES.has(code),
});
