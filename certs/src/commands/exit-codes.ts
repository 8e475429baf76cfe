// The exit codes of ztna-certs, which scripts may rely on.

export const EXIT = {
  ok: 0,
  /** `inspect` read everything and found something wrong. */
  problemFound: 1,
  /** Nothing was done: a mistake in the command, or a file that cannot be read or written. */
  refused: 2,
  /** A fault of ztna-certs itself (sysexits.h EX_SOFTWARE). */
  internal: 70,
} as const;
