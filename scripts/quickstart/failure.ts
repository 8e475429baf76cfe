// The one error that quickstart ends with: a message for the person at the terminal, without a stack.

export class QuickstartFailure extends Error {
  override readonly name = 'QuickstartFailure';
}

/** For errors of the system: its code, or whatever there is. */
export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
