// What an agent gets to see when a connector rejects its session. Owns that translation: a connector
// may say why it refuses, but can't speak for the relay (policy_denied) or for TLS.

import { failureMeaning, type FailureCode } from '../../failure-codes.js';

/** Codes a connector may pass on as they are: each tells the user whom to ask. */
const PASSED_ON: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'service_not_served',
  'agent_not_allowed',
  'too_many_sessions',
  'draining',
  'internal_error',
]);

/** Any other code becomes `connector_rejected` and moves into the reason. */
export const rejectCode = (code: FailureCode): FailureCode => (PASSED_ON.has(code) ? code : 'connector_rejected');

export const rejectReason = (connector: string, code: FailureCode, reason: string): string => {
  const said = PASSED_ON.has(code) || code === 'connector_rejected' ? '' : ` (${code})`;
  return `connector ${connector}${said}: ${reason === '' ? failureMeaning(code) : reason}`;
};
