// Why a socket could not be opened, in words for people; the same for every kind of socket.

import { ZtnaError } from '../errors.js';
import { formatAddress, type SocketAddress } from './datagram-socket.js';

export const bindError = (address: SocketAddress, cause: NodeJS.ErrnoException, protocol: 'TCP' | 'UDP' = 'UDP'): ZtnaError => {
  const where = `${protocol} ${formatAddress(address)}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new ZtnaError('address_in_use', `${where} is already in use: stop the other process or choose another port`, { cause });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ZtnaError('address_invalid', `${where} is not an address of this machine`, { cause });
    case 'EACCES':
      return new ZtnaError('socket_failed', `${where} needs more rights: choose a port above 1023 or grant CAP_NET_BIND_SERVICE`, { cause });
    default:
      return new ZtnaError('socket_failed', `cannot open ${where}: ${cause.message}`, { cause });
  }
};
