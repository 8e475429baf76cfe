// The one error class people see. Network input never throws: it ends as a result with a code.

import type { FailureCode } from './failure-codes.js';

/** Codes of faults on this machine: configuration, files, start-up. Faults between peers are `FailureCode`s. */
export type LocalErrorCode =
  | 'config_invalid'
  | 'config_unreadable'
  | 'file_unreadable'
  | 'file_unwritable'
  | 'file_exists'
  | 'file_locked'
  | 'key_file_permissions'
  | 'certificate_unusable'
  | 'keyring_invalid'
  | 'keyring_locked'
  | 'address_in_use'
  | 'address_invalid'
  | 'socket_failed'
  | 'usage'
  // Misuse of our own API by our own code.
  | 'cbor_unencodable'
  | 'decoder_not_drained'
  | 'preamble_finished'
  | 'udp_payload_too_large'
  | 'varint_out_of_range';

export type ErrorCode = LocalErrorCode | FailureCode;

/**
 * An error meant for people. The message states the field, the value and the bound, and what to
 * do next; it never contains a secret.
 */
export class ZtnaError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ZtnaError';
    this.code = code;
  }
}
