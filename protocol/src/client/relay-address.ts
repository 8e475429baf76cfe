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

/** Addresses of one name that are tried; a name with more has them for spreading load. */
export const MAX_RELAY_ADDRESSES = 8;

/** Every address of the name, in the order to try them, at most `MAX_RELAY_ADDRESSES`; none when it does not resolve. */
export const resolveTargets = async (target: RelayAddress): Promise<SocketAddress[]> => {
  if (isIP(target.host)) return [{ host: target.host, port: target.port }];
  try {
    const found = await lookup(target.host, { all: true });
    return interleaveFamilies(found).slice(0, MAX_RELAY_ADDRESSES).map(({ address }) => ({ host: address, port: target.port }));
  } catch {
    return [];
  }
};

/** The resolver's order, but IPv4 and IPv6 by turns, so that one broken family costs one step (RFC 8305 §4). */
export const interleaveFamilies = <A extends { readonly family: number }>(addresses: readonly A[]): A[] => {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return first.flatMap((address, n) => (second[n] ? [address, second[n]] : [address])).concat(second.slice(first.length));
};

/** Where a client socket binds to reach `peer`. */
export const anyAddressFor = (peer: SocketAddress): SocketAddress => ({ host: peer.host.includes(':') ? '::' : '0.0.0.0', port: 0 });
