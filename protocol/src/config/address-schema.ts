// Addresses as people write them: `127.0.0.1:8080`, `[::1]:8080`, `db.internal:5432`. Owns their
// syntax (RFC 3986 §3.2.2 for the brackets); resolving names is left to whoever connects.

import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

export interface HostPort {
  /** An IPv4 or IPv6 address, without brackets, or a DNS name. */
  readonly host: string;
  readonly port: number;
}

/** Underscores are no host name (RFC 952), but container networks are full of them. */
const DNS_LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const MAX_DNS_NAME = 253;

const isDnsName = (text: string): boolean => {
  const labels = (text.endsWith('.') ? text.slice(0, -1) : text).split('.');
  // `300.1.1.1` and `127.1` are no names: a last label of digits would be read as an address by resolvers.
  return text.length <= MAX_DNS_NAME && labels.every((label) => DNS_LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
};

/** Splits `host:port`; undefined unless both are valid. Port 0 to 65535. An IPv6 address needs its brackets. */
export const parseHostPort = (text: string): HostPort | undefined => {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  if (match[1] !== undefined) return isIPv6(match[1]) ? { host: match[1], port } : undefined;
  return isIPv4(match[2]!) || isDnsName(match[2]!) ? { host: match[2]!, port } : undefined;
};

/** `host:port` with an IPv6 host in brackets: the inverse of `parseHostPort`. */
export const formatHostPort = ({ host, port }: HostPort): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

const addressOf = (rule: string, accept: (address: HostPort) => boolean) =>
  z.string({ error: rule }).transform((text, context): HostPort => {
    const address = parseHostPort(text);
    if (address && accept(address)) return address;
    context.addIssue({ code: 'custom', message: rule });
    return z.NEVER;
  });

/** Somewhere to connect to: an address or DNS name, and a port from 1. */
export const hostPort = addressOf(
  'must be host:port with a port from 1 to 65535, such as 127.0.0.1:8080, [::1]:8080 or db.internal:5432',
  ({ port }) => port > 0,
);

/** Somewhere to listen: an IP address, as a name could bind anywhere; port 0 takes any free one. */
export const listenAddress = addressOf(
  'must be address:port with an IP address and a port up to 65535, such as 127.0.0.1:8080, 0.0.0.0:4433 or [::]:4433',
  ({ host }) => isIPv4(host) || isIPv6(host),
);
