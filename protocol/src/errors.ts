// The one error class people see. Network input never throws: it ends as a result with a code.

/** Codes of faults on this machine: configuration, files, start-up. Faults between peers are `FailureCode`s. */
export type LocalErrorCode =
  | 'config_invalid'
  | 'config_unreadable'
  | 'file_unreadable'
  | 'key_file_permissions'
  | 'certificate_unusable'
  | 'keyring_invalid'
  | 'address_in_use'
  | 'address_invalid'
  | 'socket_failed'
  | 'usage';

/**
 * An error meant for people. The message states the field, the value and the bound, and what to
 * do next; it never contains a secret.
 */
export class ZtnaError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ZtnaError';
    this.code = code;
  }
}
