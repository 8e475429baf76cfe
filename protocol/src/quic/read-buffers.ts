// Buffers to read streams into, used again and again by everybody in the process. A fresh one for each read is
// memory outside of the collector's heap, which has it run: at a relay with 10 000 idle clients, whose messages were
// read into 16 KiB each, that took half of the relay's processor time.

/** One read from QUIC, and so the largest write to a socket. */
const READ_BYTES = 64 * 1024;
/** As many as are out at a time in a fast transfer: it leaves nothing for the collector. */
const MAX_POOLED = 32;

const pool: Buffer[] = [];

/** Its content is whatever was read last. */
export const takeReadBuffer = (): Buffer => pool.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);

/** Once nobody has a view into it any more. One that never comes back is the collector's. */
export const releaseReadBuffer = (buffer: Buffer): void => {
  if (pool.length < MAX_POOLED) pool.push(buffer);
};
