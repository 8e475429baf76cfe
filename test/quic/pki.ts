// A throw-away PKI and QUIC configurations out of it, made once per test file.

import { createAuthority, issueCertificate, type Authority, type IssuedCertificate } from '@ztna/certs';
import { createQuicConfig, INNER_PROFILE, OUTER_PROFILE, type QuicConfig, type QuicConfigInit } from '@ztna/protocol';

export const TRUST_DOMAIN = 'corp.example';
export const RELAY_SERVER_NAME = 'relay-1.relay.corp.example';
export const SERVICE_SERVER_NAME = 'web.svc.corp.example';

export const authority: Authority = createAuthority({ trustDomain: TRUST_DOMAIN });
export const relayCertificate = issueCertificate(authority, { role: 'relay', name: 'relay-1' });
export const connectorCertificate = issueCertificate(authority, { role: 'connector', name: 'c1', services: ['web'] });
export const agentCertificate = issueCertificate(authority, { role: 'agent', name: 'alice' });

export type Profile = Omit<QuicConfigInit, 'caPem' | 'certificatePem' | 'keyPem'>;

export const configOf = (certificate: IssuedCertificate, profile: Profile, ca: Authority = authority): QuicConfig =>
  createQuicConfig({
    ...profile,
    caPem: Buffer.from(ca.certificatePem),
    certificatePem: Buffer.from(certificate.certificatePem),
    keyPem: Buffer.from(certificate.keyPem),
  });

export const outerServer = (changes: Partial<Profile> = {}): QuicConfig => configOf(relayCertificate, { ...OUTER_PROFILE, ...changes });
export const outerClient = (changes: Partial<Profile> = {}): QuicConfig => configOf(agentCertificate, { ...OUTER_PROFILE, ...changes });
export const innerServer = (changes: Partial<Profile> = {}): QuicConfig => configOf(connectorCertificate, { ...INNER_PROFILE, ...changes });
export const innerClient = (changes: Partial<Profile> = {}): QuicConfig => configOf(agentCertificate, { ...INNER_PROFILE, ...changes });
