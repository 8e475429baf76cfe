// sockaddr_in and sockaddr_in6 to and from an IP literal and a port. The literals are the ones Node
// prints, so that a peer has the same address whichever socket is in use.

import { AF_INET, AF_INET6, NAME_BYTES, SOCKADDR_IN6_BYTES, SOCKADDR_IN_BYTES } from './linux-layout.js';
import type { SocketAddress } from './datagram-socket.js';
import type { SocketCalls } from './linux-calls.js';

const PORT_OFFSET = 2;
const V4_ADDRESS_OFFSET = 4;
const V6_ADDRESS_OFFSET = 8;
const V6_SCOPE_OFFSET = 24;
const MAX_PORT = 65535;
const MAX_SCOPE = 0xffff_ffff;

export const sockaddrBytes = (family: number): number => (family === AF_INET ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);

/**
 * Writes an address of `family` into 32 bytes. False when the host is no literal of that family or the
 * port is out of range; port 0 is for binding only. `fe80::1%eth0` and `fe80::1%2` name an interface.
 */
export const writeSockaddr = (calls: SocketCalls, family: number, { host, port }: SocketAddress, into: Buffer): boolean => {
  if (!(port >= 0 && port <= MAX_PORT) || host.includes('\0')) return false;
  into.fill(0, 0, NAME_BYTES);
  into.writeUInt16LE(family, 0);
  into.writeUInt16BE(port, PORT_OFFSET);
  if (family === AF_INET) return calls.inetPton(AF_INET, host, into.subarray(V4_ADDRESS_OFFSET)) === 1;
  const percent = host.indexOf('%');
  const literal = percent < 0 ? host : host.slice(0, percent);
  if (percent >= 0) into.writeUInt32LE(scopeId(calls, host.slice(percent + 1)), V6_SCOPE_OFFSET);
  return calls.inetPton(AF_INET6, literal, into.subarray(V6_ADDRESS_OFFSET)) === 1;
};

const scopeId = (calls: SocketCalls, zone: string): number => (/^\d{1,10}$/.test(zone) && Number(zone) <= MAX_SCOPE ? Number(zone) : calls.interfaceIndex(zone));

/** Reads an address at `offset`; the kernel wrote it. */
export const readSockaddr = (calls: SocketCalls, bytes: Buffer, offset = 0): SocketAddress => {
  const port = bytes.readUInt16BE(offset + PORT_OFFSET);
  if (bytes.readUInt16LE(offset) === AF_INET) {
    const at = offset + V4_ADDRESS_OFFSET;
    return { host: `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`, port };
  }
  const at = offset + V6_ADDRESS_OFFSET;
  const literal = calls.inetNtop(AF_INET6, bytes.subarray(at, at + 16));
  const scope = bytes.readUInt32LE(offset + V6_SCOPE_OFFSET);
  // Only link-local addresses need their interface said.
  const isLinkLocal = bytes[at] === 0xfe && (bytes[at + 1]! & 0xc0) === 0x80;
  return { host: isLinkLocal && scope > 0 ? `${literal}%${calls.interfaceName(scope) ?? scope}` : literal, port };
};
