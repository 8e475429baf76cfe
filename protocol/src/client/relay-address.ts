// A relay's configured address to socket addresses, anew for every dial: names move.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { SocketAddress } from '../udp/datagram-socket.js';

export interface RelayAddress {
  /** The relay's name in its certificate. */
  readonly name: string;
  /** IP literal or DNS name. */
  readonly host: string;
  readonly port: number;
}

/** The first address the resolver prefers, IPv4 or IPv6; undefined when the name does not resolve. */
export const resolveTarget = async (target: RelayAddress): Promise<SocketAddress | undefined> => {
  if (isIP(target.host)) return { host: target.host, port: target.port };
  try {
    const { address } = await lookup(target.host);
    return { host: address, port: target.port };
  } catch {
    return undefined;
  }
};

/** Where a client socket binds to reach `peer`. */
export const anyAddressFor = (peer: SocketAddress): SocketAddress => ({ host: peer.host.includes(':') ? '::' : '0.0.0.0', port: 0 });
