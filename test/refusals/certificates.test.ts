// Whom the relay refuses for the certificate it shows, before a single control message counts: the code
// the client is closed with and the one in the relay's log. An innocent flow runs on all the while.

import t from 'tap';
import { createAuthority, issueCertificate, signCertificate, type ExplicitCertificate, type IssuedCertificate } from '@ztna/certs';
import { relayDnsName, type FailureCode } from '@ztna/protocol';
import { HostileClient, type HostileClientInit } from '../harness/hostile-client.js';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { tapClientConnections } from '../harness/native-quic.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const HOUR_MS = 3_600_000;
const SERVER_NAME = relayDnsName('relay-1', TRUST_DOMAIN);

const lab = Lab.create(t);
/** Signs whatever it is asked, for foreign trust domains too; the relay pins it beside the lab's own. */
const lax = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'lax CA', nameConstraints: false });
const foreign = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'foreign CA' });
lab.write('ca.crt', lab.authority.certificatePem + lax.certificatePem);
const { relay, flow } = await startInnocentLab(t, lab);

interface Case {
  readonly certificate: IssuedCertificate;
  /** What the client is closed with. */
  readonly code: FailureCode;
  /** In the relay's log; `handshake_refused` unless told. */
  readonly event?: 'handshake_refused' | 'client_refused';
  readonly extra?: Partial<HostileClientInit>;
  /** Part of the reason at both ends. */
  readonly reason?: RegExp;
}

const uri = (role: string, name: string, trustDomain = TRUST_DOMAIN): string => `spiffe://${trustDomain}/${role}/${name}`;
const agent = (): IssuedCertificate => issueCertificate(lab.authority, { role: 'agent', name: 'mallory' });
const signed = (changes: Partial<ExplicitCertificate>): IssuedCertificate =>
  signCertificate(lax, {
    commonName: 'mallory',
    uris: [uri('agent', 'mallory')],
    dnsNames: [],
    purposes: ['clientAuth'],
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    ...changes,
  });

const cases: Record<string, Case> = {
  'a client without a certificate': { certificate: agent(), extra: { anonymous: true }, code: 'certificate_required' },
  'a certificate of a foreign CA, same names and all': {
    certificate: issueCertificate(foreign, { role: 'agent', name: 'alice' }),
    code: 'certificate_unknown_ca',
  },
  'a certificate that expired': { certificate: signed({ notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) }), code: 'certificate_expired' },
  // One code for both ends of the validity: BoringSSL raises the same alert.
  'a certificate that is not valid yet': { certificate: signed({ notBefore: new Date(Date.now() + HOUR_MS), notAfter: new Date(Date.now() + 2 * HOUR_MS) }), code: 'certificate_expired' },
  'a certificate without a URI name': { certificate: signed({ uris: [], dnsNames: ['mallory.example.test'] }), code: 'identity_invalid', reason: /no URI names/ },
  'a certificate with two URI names': { certificate: signed({ uris: [uri('agent', 'mallory'), uri('agent', 'alice')] }), code: 'identity_invalid', reason: /2 URI names/ },
  'a URI name of another form': { certificate: signed({ uris: [`spiffe://${TRUST_DOMAIN}/admin/mallory`] }), code: 'identity_invalid', reason: /spiffe:/ },
  'a URI name with an upper-case twin of a name': { certificate: signed({ uris: [uri('agent', 'Alice')] }), code: 'identity_invalid' },
  'a common name in place of a URI name': { certificate: signed({ commonName: uri('agent', 'alice'), uris: [], dnsNames: ['alice'] }), code: 'identity_invalid' },
  'an identity of a foreign trust domain': {
    certificate: signed({ uris: [uri('agent', 'mallory', 'evil.test')] }),
    code: 'trust_domain_mismatch',
    event: 'client_refused',
  },
  'a relay certificate that may be a client': {
    certificate: signed({ uris: [uri('relay', 'relay-1')], purposes: ['clientAuth', 'serverAuth'] }),
    code: 'role_not_allowed',
    event: 'client_refused',
  },
  'a relay certificate as relays have it': { certificate: issueCertificate(lab.authority, { role: 'relay', name: 'relay-9' }), code: 'certificate_purpose_invalid' },
  'an agent certificate for servers only': { certificate: signed({ purposes: ['serverAuth'] }), code: 'certificate_purpose_invalid' },
  'another application protocol': { certificate: agent(), extra: { alpn: 'h3' }, code: 'alpn_mismatch' },
};

for (const [what, { certificate, code, event = 'handshake_refused', extra, reason }] of Object.entries(cases)) {
  t.test(`refuses ${what} with ${code}, at the client and in the relay's log`, async (t) => {
    relay.forgetEvents();
    const client = await dial(certificate, extra);
    client.hello('agent').register(new Uint8Array(16)).open('web');
    const end = await client.ended;
    t.equal(end.code, code);
    t.equal(end.by, 'peer');
    t.same(client.messages, [], 'not one message was answered');
    const logged = await relay.waitFor(event, { code });
    t.ok(logged.reason, 'the log says why');
    if (reason) {
      t.match(end.reason, reason);
      t.match(logged.reason, reason);
    }
    await client.close();
    await flow.roundTrip();
  });
}

t.test('refuses a certificate of a foreign trust domain in TLS already, where the CA is constrained to its own', async (t) => {
  relay.forgetEvents();
  const forged = signCertificate(lab.authority, {
    commonName: 'mallory', uris: [uri('agent', 'mallory', 'evil.test')], dnsNames: [], purposes: ['clientAuth'],
    notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS),
  });
  const client = await dial(forged);
  client.hello('agent');
  t.equal((await client.ended).code, 'certificate_invalid');
  await relay.waitFor('handshake_refused', { code: 'certificate_invalid' });
  await client.close();
});

t.test('refuses an agent certificate that says hello as connector, with role_not_allowed', async (t) => {
  relay.forgetEvents();
  const client = await dial(agent());
  client.hello('connector').register(new Uint8Array(16));
  const end = await client.ended;
  t.equal(end.code, 'role_not_allowed');
  t.match(end.reason, /hello as connector with a certificate for agent/);
  await relay.waitFor('client_refused', { code: 'role_not_allowed', identity: uri('agent', 'mallory') });
  await client.close();
});

t.test('refuses to resume a TLS session with resumption_refused: every connection shows its certificate anew', async (t) => {
  const connections: Parameters<Parameters<typeof tapClientConnections>[0]>[0][] = [];
  const stop = tapClientConnections((connection) => connections.push(connection));
  const first = await dial(agent());
  stop();
  first.hello('agent');
  await first.take('helloAck');
  const ticket = connections[0]?.session();
  await first.close();
  t.ok(ticket, 'TLS gave out a ticket');

  relay.forgetEvents();
  const stopOffering = tapClientConnections((connection) => {
    connection.setSession(ticket!);
    // The product's client would refuse too; this one plays along.
    Object.defineProperty(connection, 'isResumed', { value: () => false });
  });
  const second = await dial(agent());
  stopOffering();
  second.hello('agent');
  const end = await second.ended;
  t.match(end, { code: 'resumption_refused', by: 'peer' });
  t.same(second.messages, []);
  await relay.waitFor('handshake_refused', { code: 'resumption_refused' });
  await second.close();
});

t.test('is refused itself by a client that expects another relay, with certificate_name_mismatch', async (t) => {
  const client = await dial(agent(), { serverName: relayDnsName('relay-2', TRUST_DOMAIN) });
  const end = await client.ended;
  t.equal(end.code, 'certificate_name_mismatch');
  t.equal(end.by, 'local');
  await client.close();
});

t.test('the innocent flow is untouched and no secret was logged', async (t) => {
  await flow.roundTrip();
  checkNoSecretsLogged(t, lab);
});

function dial(certificate: IssuedCertificate, extra: Partial<HostileClientInit> = {}): Promise<HostileClient> {
  return HostileClient.dial({ port: lab.relayPort, serverName: SERVER_NAME, credentials: { caPem: lab.authority.certificatePem, ...certificate }, ...extra });
}
