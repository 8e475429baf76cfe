// How large a socket's kernel buffers should be, and what to tell people when the kernel gives less.

/** 4 MiB holds about 20 ms at 200 000 packets/s of 1 KiB; the kernel caps it at net.core.[rw]mem_max without complaint. */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

/** Linux reserves as much again for its own structures and reports the sum (socket(7)). */
const REPORTED_FACTOR = process.platform === 'linux' ? 2 : 1;

/**
 * One line about what the kernel gave, or undefined when it gave what was asked for.
 *
 * @param receive what SO_RCVBUF reads back, in bytes
 * @param send the same of SO_SNDBUF
 */
export const bufferHint = (receive: number, send: number): string | undefined => {
  const given = Math.floor(Math.min(receive, send) / REPORTED_FACTOR);
  if (given >= SOCKET_BUFFER_BYTES) return undefined;
  const rise = process.platform === 'linux' ? `: sysctl -w net.core.rmem_max=${SOCKET_BUFFER_BYTES} net.core.wmem_max=${SOCKET_BUFFER_BYTES}` : '';
  return `the kernel gives ${Math.floor(given / 1024)} KiB of socket buffer instead of ${SOCKET_BUFFER_BYTES / 1024} KiB, bursts may be lost${rise}`;
};
