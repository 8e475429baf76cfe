// What the certificate of each role says: purposes and DNS names. Read by the issuer and the inspector alike.

import {
  formatIdentity, parseServiceDnsName, relayDnsName, serviceDnsName,
  type Identity, type Role,
} from '@ztna/protocol';
import type { Purpose } from './x509/object-identifiers.js';

/** A connector is a client of the relay and the server of the inner handshake. */
export const ROLE_PURPOSES: Record<Role, readonly Purpose[]> = {
  agent: ['clientAuth'],
  connector: ['clientAuth', 'serverAuth'],
  relay: ['serverAuth'],
};

export interface ProfileNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/** The subject alternative names of an identity. `services` matters for a connector only. */
export const profileNames = (identity: Identity, services: readonly string[]): ProfileNames => ({
  uris: [formatIdentity(identity)],
  dnsNames:
    identity.role === 'relay'
      ? [relayDnsName(identity.name, identity.trustDomain)]
      : identity.role === 'connector'
        ? services.map((service) => serviceDnsName(service, identity.trustDomain))
        : [],
});

/** The services a connector's DNS names give it the right to serve; other names are left out. */
export const servicesOf = (identity: Identity, dnsNames: readonly string[]): string[] =>
  identity.role === 'connector'
    ? dnsNames.flatMap((name) => parseServiceDnsName(name, identity.trustDomain) ?? [])
    : [];
