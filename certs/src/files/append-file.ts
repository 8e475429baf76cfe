// Appends lines to a file that only its owner can read. One write per line on a descriptor opened to append, so that of
// two commands at once neither cuts into the other's line; a line that a crash cut short is ended first.

import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { ZtnaError } from '@ztna/protocol';
import { SECRET_MODE } from './secret-file.js';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
const NEWLINE = 0x0a;

/**
 * Makes the file (0600) if it is missing; has the line on disk before returning.
 * @param line ends with a newline
 * @throws ZtnaError `file_unwritable`
 */
export const appendLine = (path: string, line: string): void => {
  try {
    const fd = openSync(path, O_RDWR | O_CREAT | O_APPEND | (O_NOFOLLOW ?? 0), SECRET_MODE);
    try {
      const stats = fstatSync(fd);
      if (!stats.isFile()) throw new Error('it is not a regular file');
      if ((stats.mode & 0o777) !== SECRET_MODE) fchmodSync(fd, SECRET_MODE);
      const bytes = Buffer.from(endsInLine(fd, stats.size) ? line : `\n${line}`, 'utf8');
      const written = writeSync(fd, bytes);
      if (written !== bytes.length) throw new Error('the disk is full');
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/, \w+( '.*')?$/s, '') : String(cause);
    throw new ZtnaError('file_unwritable', `${path} cannot be written: ${reason}`, { cause });
  }
};

/** An empty line too many, as two writers at once may make one, means nothing to readers. */
const endsInLine = (fd: number, size: number): boolean => {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  return readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === NEWLINE;
};
