// Reads a whole small file without trusting what is behind the path. Owns the order open → fstat →
// read on one descriptor (the file checked is the file read) and the bound on its size; who may read
// it is secret-file.ts.

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { ZtnaError, type LocalErrorCode } from '../errors.js';
import { noteRead } from './noted-reads.js';

export interface BoundedFileOptions {
  /** Bytes; one more is refused. */
  readonly maxBytes: number;
  /** The code of every refusal here. Default `file_unreadable`. */
  readonly code?: LocalErrorCode;
  /** Looks at the opened file before a byte is read; throws to refuse. */
  readonly inspect?: (stats: Stats) => void;
}

/**
 * The content of a regular file; symbolic links are followed (Kubernetes mounts are made of them).
 *
 * @throws ZtnaError with `options.code` when it is missing, not a regular file, too large or not readable
 */
export const readBoundedFile = (path: string, options: BoundedFileOptions): Buffer => {
  const refuse = (problem: string, cause?: unknown): ZtnaError =>
    new ZtnaError(options.code ?? 'file_unreadable', `cannot read ${path}: ${problem}`, { cause });
  noteRead(path);
  let fd: number;
  try {
    // O_NONBLOCK: opening a FIFO nobody writes to would hang before fstat could refuse it.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw refuse(describeOpenError(error), error);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw refuse(`it is ${describeType(stats)}, not a regular file`);
    options.inspect?.(stats);
    const content = readUpTo(fd, options.maxBytes + 1);
    if (content.length > options.maxBytes) throw refuse(`it is larger than ${options.maxBytes} bytes`);
    return content;
  } catch (error) {
    throw error instanceof ZtnaError ? error : refuse(describeOpenError(error), error);
  } finally {
    closeSync(fd);
  }
};

/** Reads to the end or `limit`; the size in fstat is no bound, as the file may grow meanwhile. */
const readUpTo = (fd: number, limit: number): Buffer => {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < limit) {
    const chunk = Buffer.allocUnsafe(Math.min(limit - length, 64 * 1024));
    const read = readSync(fd, chunk, 0, chunk.length, null);
    if (read === 0) break;
    chunks.push(chunk.subarray(0, read));
    length += read;
  }
  return Buffer.concat(chunks, length);
};

const describeOpenError = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'no such file; check the path';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied; run as a user who may read it';
  if (code === 'ELOOP') return 'too many symbolic links';
  return error instanceof Error ? error.message : String(error);
};

const describeType = (stats: Stats): string => {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
};
