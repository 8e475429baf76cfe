// Who may read what of the health port. Probes are for anybody; scrapes, and the particulars of a probe's
// answer, for those the settings name, or for whoever is on this machine when they name nobody.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import { readCertificateIdentity } from '../config/certificate-identity.js';
import type { Identity } from '../identity.js';
import type { HealthSettings } from './health-section.js';

export interface HealthTrust {
  /** The trust domain of the pinned CA. */
  readonly trustDomain: string;
  /** True for a certificate on the deny list. */
  readonly isRevoked: (identity: Identity, serial: string) => boolean;
}

/** `unauthenticated` may try again with a token; `forbidden` not. */
export type Access = 'granted' | 'unauthenticated' | 'forbidden';

export const accessOf = (request: IncomingMessage, { token, clients }: HealthSettings, trust: HealthTrust): Access => {
  if (token?.matches(request.headers.authorization) === true) return 'granted';
  if (clients.size > 0 && isNamedClient(request, clients, trust)) return 'granted';
  if (token) return 'unauthenticated';
  if (clients.size > 0) return 'forbidden';
  // Nobody is named, so the address is loopback (health-section.ts).
  return isLocalHost(request.headers.host) ? 'granted' : 'forbidden';
};

/** TLS has verified the chain, the dates and the purpose; which identity it is, and whether it is on the list, is left. */
const isNamedClient = ({ socket }: IncomingMessage, clients: ReadonlySet<string>, { trustDomain, isRevoked }: HealthTrust): boolean => {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  const certificate = socket.getPeerX509Certificate();
  const read = certificate && readCertificateIdentity(certificate.raw);
  if (!read?.ok || read.notAfter.getTime() <= Date.now()) return false;
  const { identity, serial } = read;
  return identity.trustDomain === trustDomain && clients.has(`${identity.role}/${identity.name}`) && !isRevoked(identity, serial);
};

/**
 * A web page can make its own name resolve to 127.0.0.1 and read what answers there (DNS rebinding); its requests
 * carry that name.
 */
const isLocalHost = (host: string | undefined): boolean => {
  if (host === undefined) return true; // HTTP/1.0; no browser
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(name) > 0 || name.toLowerCase() === 'localhost';
};
