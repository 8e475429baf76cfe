// Telling a TCP connection that was reset from one that ended, where Node cannot.

import { readSync } from 'node:fs';
import type { Socket } from 'node:net';

const PROBE = Buffer.alloc(1);

/**
 * Whether a socket that has just emitted `end` was reset in truth. libuv calls a reset an end when data came with it
 * (uv__stream_io on POLLHUP). The kernel still holds the error: one more read fails with it, and at a true end returns
 * nothing. False where the descriptor cannot be had (Windows, or a socket that is closed).
 */
export const wasReset = (socket: Socket): boolean => {
  // The only way to the descriptor; the handle's shape is Node's own, so nothing of it is taken for granted.
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null })._handle;
  const fd = handle?.fd;
  if (typeof fd !== 'number' || fd < 0) return false;
  try {
    readSync(fd, PROBE);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  }
};
