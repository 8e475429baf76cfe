// Why a link went down, and whether trying again soon can help.

import type { FailureCode } from '../../failure-codes.js';
import { PROTOCOL_VERSION, type ControlMessageOf } from '../../wire/control-messages.js';
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

/** What is wrong with a relay's greeting, if anything. @param expected the identity that was dialed */
export const helloAckFault = (
  { version, relay }: ControlMessageOf<'helloAck'>,
  expected: string,
): { code: FailureCode; reason: string } | undefined => {
  if (version !== PROTOCOL_VERSION) return { code: 'version_unsupported', reason: `version ${version}, but ${PROTOCOL_VERSION} was offered` };
  return relay === expected ? undefined : { code: 'protocol_error', reason: `the relay is ${relay}, not ${expected}` };
};
