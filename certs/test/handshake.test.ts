// The issued certificates in the real TLS stack: what connects, and which alert refuses what does not.

import t from 'tap';
import { createAuthority, issueCertificate, signCertificate, type IssuedCertificate } from '@ztna/certs';
import { handshake, type HandshakeResult } from './fixtures/handshake.js';

const TRUST_DOMAIN = 'corp.example';
const RELAY_NAME = 'relay-1.relay.corp.example';
const HOUR = 3_600_000;
/** TLS alerts (RFC 8446 §6.2) as CRYPTO_ERROR. */
const ALERT = { badCertificate: 298, unsupportedCertificate: 299, certificateExpired: 301, certificateUnknown: 302, unknownCa: 304, certificateRequired: 372 };

const authority = createAuthority({ trustDomain: TRUST_DOMAIN });
const relay = issueCertificate(authority, { role: 'relay', name: 'relay-1' });
const agent = issueCertificate(authority, { role: 'agent', name: 'alice' });
const connector = issueCertificate(authority, { role: 'connector', name: 'c1', services: ['web', 'ssh-box'] });
const foreign = createAuthority({ trustDomain: TRUST_DOMAIN });

const between = (client: IssuedCertificate | undefined, server: IssuedCertificate, serverName = RELAY_NAME): HandshakeResult =>
  handshake({
    clientCa: authority.certificatePem,
    serverCa: authority.certificatePem,
    ...(client ? { client } : {}),
    server,
    serverName,
  });

const CONNECTED: HandshakeResult = { established: true, clientAlert: undefined, serverAlert: undefined };

t.test('an agent and a connector connect to a relay', (t) => {
  t.same(between(agent, relay), CONNECTED);
  t.same(between(connector, relay), CONNECTED);
  t.end();
});

t.test('an agent connects to a connector under the name of each of its services', (t) => {
  t.same(between(agent, connector, 'web.svc.corp.example'), CONNECTED);
  t.same(between(agent, connector, 'ssh-box.svc.corp.example'), CONNECTED);
  t.end();
});

t.test('certificates of a CA without name constraints connect as well', (t) => {
  const plain = createAuthority({ trustDomain: TRUST_DOMAIN, nameConstraints: false });
  const result = handshake({
    clientCa: plain.certificatePem,
    serverCa: plain.certificatePem,
    client: issueCertificate(plain, { role: 'agent', name: 'alice' }),
    server: issueCertificate(plain, { role: 'relay', name: 'relay-1' }),
    serverName: RELAY_NAME,
  });
  t.same(result, CONNECTED);
  t.end();
});

t.test('the server refuses a client without a certificate with certificate_required', (t) => {
  const result = between(undefined, relay);
  t.equal(result.established, false);
  t.equal(result.serverAlert, ALERT.certificateRequired);
  t.end();
});

t.test('the server refuses a client of a foreign CA, even one with the same name, with unknown_ca', (t) => {
  const result = between(issueCertificate(foreign, { role: 'agent', name: 'alice' }), relay);
  t.equal(result.established, false);
  t.equal(result.serverAlert, ALERT.unknownCa);
  t.end();
});

t.test('the client refuses a server of a foreign CA with unknown_ca', (t) => {
  const result = between(agent, issueCertificate(foreign, { role: 'relay', name: 'relay-1' }));
  t.equal(result.established, false);
  t.equal(result.clientAlert, ALERT.unknownCa);
  t.end();
});

t.test('an expired certificate is refused by either side with certificate_expired', (t) => {
  const now = Date.now();
  const old = createAuthority({ trustDomain: TRUST_DOMAIN, now: new Date(now - 48 * HOUR) });
  const past = { notBefore: new Date(now - 24 * HOUR), notAfter: new Date(now - HOUR) };
  const client = issueCertificate(old, { role: 'agent', name: 'alice' });
  const server = issueCertificate(old, { role: 'relay', name: 'relay-1' });
  const under = { clientCa: old.certificatePem, serverCa: old.certificatePem, serverName: RELAY_NAME };
  t.same(handshake({ ...under, client, server }), CONNECTED);
  const expiredClient = issueCertificate(old, { role: 'agent', name: 'alice', ...past });
  t.equal(handshake({ ...under, client: expiredClient, server }).serverAlert, ALERT.certificateExpired);
  const expiredServer = issueCertificate(old, { role: 'relay', name: 'relay-1', ...past });
  t.equal(handshake({ ...under, client, server: expiredServer }).clientAlert, ALERT.certificateExpired);
  t.end();
});

t.test('the client refuses a server under another name with bad_certificate', (t) => {
  const names = ['relay-2.relay.corp.example', 'web.svc.corp.example', 'relay-1.relay.corp.example.org', 'relay-1'];
  for (const name of names) {
    const result = between(agent, relay, name);
    t.equal(result.established, false, name);
    t.equal(result.clientAlert, ALERT.badCertificate, name);
  }
  t.end();
});

t.test('a connector is refused under the name of a service it does not have', (t) => {
  t.equal(between(agent, connector, 'db.svc.corp.example').clientAlert, ALERT.badCertificate);
  t.end();
});

t.test('an agent certificate is refused as a server for its purpose, with the right name too', (t) => {
  t.equal(between(agent, agent, RELAY_NAME).established, false);
  const now = Date.now();
  const disguised = signCertificate(authority, {
    commonName: 'alice',
    uris: ['spiffe://corp.example/agent/alice'],
    dnsNames: [RELAY_NAME],
    purposes: ['clientAuth'],
    notBefore: new Date(now - 1000),
    notAfter: new Date(now + HOUR),
  });
  const result = between(agent, disguised);
  t.equal(result.established, false);
  t.equal(result.clientAlert, ALERT.unsupportedCertificate);
  t.end();
});

t.test('a relay certificate is refused as a client', (t) => {
  const result = between(relay, relay);
  t.equal(result.established, false);
  t.equal(result.serverAlert, ALERT.unsupportedCertificate);
  t.end();
});

t.test('name constraints: TLS itself refuses a certificate this CA signed for another trust domain', (t) => {
  const now = Date.now();
  const stray = {
    commonName: 'alice',
    uris: ['spiffe://other.example/agent/alice'],
    dnsNames: [],
    purposes: ['clientAuth'],
    notBefore: new Date(now - 1000),
    notAfter: new Date(now + HOUR),
  } as const;
  const refused = between(signCertificate(authority, stray), relay);
  t.equal(refused.established, false);
  t.equal(refused.serverAlert, ALERT.certificateUnknown);

  const plain = createAuthority({ trustDomain: TRUST_DOMAIN, nameConstraints: false });
  const accepted = handshake({
    clientCa: plain.certificatePem,
    serverCa: plain.certificatePem,
    client: signCertificate(plain, stray),
    server: issueCertificate(plain, { role: 'relay', name: 'relay-1' }),
    serverName: RELAY_NAME,
  });
  t.same(accepted, CONNECTED, 'without them it takes a check above TLS');
  t.end();
});

t.test('the longest names a certificate can carry still connect', (t) => {
  const label = 'a'.repeat(59);
  const trustDomain = `${label}.${label}.${label}`;
  const service = 's'.repeat(63);
  const long = createAuthority({ trustDomain });
  const services = Array.from({ length: 64 }, (_, index) => `${index}-`.padEnd(63, 's'));
  const result = handshake({
    clientCa: long.certificatePem,
    serverCa: long.certificatePem,
    client: issueCertificate(long, { role: 'agent', name: 'n'.repeat(63) }),
    server: issueCertificate(long, { role: 'connector', name: 'n'.repeat(63), services: [...services.slice(1), service] }),
    serverName: `${service}.svc.${trustDomain}`,
  });
  t.equal(trustDomain.length, 179);
  t.same(result, CONNECTED);
  t.end();
});
