// Cutting a TCP socket off: RST where the kernel can be asked for one.

import type { Socket } from 'node:net';

/**
 * Resets the connection. While a FIN is still on its way out libuv refuses to reset (EINVAL) and Node
 * would then never close the handle, so the socket is destroyed instead; the kernel still sends a
 * reset if anything was left unread.
 */
export const abortSocket = (socket: Socket): void => {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
};
