// Each way a deployment's secrets can be wrong, and the one finding it must yield. `refused` says whether the process
// itself refuses to start with it: the script and the processes must never contradict each other.

import { createPrivateKey } from 'node:crypto';
import { signCertificate, createAuthority, issueCertificate, type ExplicitCertificate } from '@ztna/certs';
import {
  agentKey, authority, connectorRequest, CONNECTOR_TLS, CONNECTOR_CONFIG, DAY_MS, foreignAuthority, goodContent, keyringOf, REGISTRATION,
  registrationKey, RELAY_KEYRING, RELAY_TLS, relayRequest, SERVICES, tls, TRUST_DOMAIN, type Content,
} from './deployment.js';
import { caExtensions, opensslCertificate, relayExtensions } from './openssl-pki.js';

export interface Breakage {
  readonly title: string;
  readonly change: (content: Content) => void;
  /** Object, key and check of each finding. */
  readonly findings: readonly (readonly [object: string, key: string, check: string])[];
  /** Default true. */
  readonly refused?: boolean;
}

const set = (object: string, entries: Record<string, string>) => (content: Content): void => void Object.assign(content[object]!, entries);
const remove = (object: string, key: string) => (content: Content): void => void delete content[object]![key];

const now = Date.now();
const explicit = (changes: Partial<ExplicitCertificate>): ReturnType<typeof signCertificate> =>
  signCertificate(authority, {
    commonName: 'relay-1',
    uris: [`spiffe://${TRUST_DOMAIN}/relay/relay-1`],
    dnsNames: [`relay-1.relay.${TRUST_DOMAIN}`],
    purposes: ['serverAuth'],
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + 60 * DAY_MS),
    ...changes,
  });
const relayTls = (changes: Partial<ExplicitCertificate>) => set(RELAY_TLS, tls(explicit(changes)));
const days = (from: number, to: number) => ({ notBefore: new Date(now + from * DAY_MS), notAfter: new Date(now + to * DAY_MS) });
const uri = (...uris: string[]) => relayTls({ uris });

const tlsOf = (object: string, check: string, key = 'tls.crt'): Breakage['findings'] => [[object, key, check]];
const keyring = (...keys: unknown[]) => set(RELAY_KEYRING, { 'keyring.yaml': keyringOf(...keys) });
const ringFinding = (check: string): Breakage['findings'] => [[RELAY_KEYRING, 'keyring.yaml', check]];
const regFinding = (check: string): Breakage['findings'] => [[REGISTRATION, 'registration.yaml', check]];
const good = goodContent();
const entries = (changes: object): unknown[] => [{ ...agentKey.keyringEntry, ...changes }];
/** The connector's own key in the keyring, beside a changed one of an agent. */
const besideGood = (changes: object) => (content: Content): void => {
  const pair = registrationKey();
  set(REGISTRATION, { 'registration.yaml': pair.keyFileYaml })(content);
  keyring(pair.keyringEntry, ...entries(changes))(content);
};
const regkey = (changes: Record<string, string>) =>
  set(REGISTRATION, { 'registration.yaml': Object.entries({ keyId: 'connector-1', algorithm: 'ed25519', secret: '', ...changes }).map(([key, value]) => `${key}: ${value}\n`).join('') });
const pairWith = (changes: Parameters<typeof registrationKey>[0]) => (content: Content): void => {
  const pair = registrationKey(changes);
  set(REGISTRATION, { 'registration.yaml': pair.keyFileYaml })(content);
  keyring(agentKey.keyringEntry, pair.keyringEntry)(content);
};
const encrypted = (pem: string): string => createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString();
const openssl = (options: Partial<Parameters<typeof opensslCertificate>[1]>) => (content: Content): void =>
  set(RELAY_TLS, tls(opensslCertificate('relay-1', { extensions: relayExtensions(TRUST_DOMAIN), ...options }, authority)))(content);
const otherDomain = createAuthority({ trustDomain: 'other.test' });
const shortAuthority = createAuthority({ trustDomain: TRUST_DOMAIN, days: 10 });
const oldAuthority = createAuthority({ trustDomain: TRUST_DOMAIN, days: 10, now: new Date(now - 30 * DAY_MS) });
const SAMPLE_SECRET = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64');

export const BREAKAGES: readonly Breakage[] = [
  { title: 'a certificate that is missing', change: remove(RELAY_TLS, 'tls.crt'), findings: tlsOf(RELAY_TLS, 'present') },
  { title: 'a key that is missing', change: remove(CONNECTOR_TLS, 'tls.key'), findings: tlsOf(CONNECTOR_TLS, 'present', 'tls.key') },
  { title: 'a CA that is missing', change: remove(RELAY_TLS, 'ca.crt'), findings: tlsOf(RELAY_TLS, 'present', 'ca.crt') },
  { title: 'a keyring that is missing', change: remove(RELAY_KEYRING, 'keyring.yaml'), findings: ringFinding('present') },
  { title: 'a registration key that is missing', change: remove(REGISTRATION, 'registration.yaml'), findings: regFinding('present') },
  { title: 'an empty key', change: set(RELAY_TLS, { 'tls.key': '' }), findings: tlsOf(RELAY_TLS, 'nonempty', 'tls.key') },
  { title: 'a key of blanks', change: set(RELAY_TLS, { 'tls.key': ' \n\n' }), findings: tlsOf(RELAY_TLS, 'nonempty', 'tls.key') },
  ...['CHANGEME', 'change-me\n', 'REPLACE_ME', '<your private key here>', '${TLS_KEY}', '{{ .Values.key }}', 'todo', Buffer.from('CHANGEME').toString('base64'),
    Buffer.from('<paste the key>').toString('base64'), '-----BEGIN PRIVATE KEY-----\nREPLACE_ME\n-----END PRIVATE KEY-----\n', '-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n']
    .map((text): Breakage => ({ title: `the placeholder ${JSON.stringify(text)} for a key`, change: set(RELAY_TLS, { 'tls.key': text }), findings: tlsOf(RELAY_TLS, 'placeholder', 'tls.key') })),
  { title: 'a placeholder for a certificate', change: set(CONNECTOR_TLS, { 'tls.crt': '<certificate>' }), findings: tlsOf(CONNECTOR_TLS, 'placeholder') },
  { title: 'a certificate cut off', change: set(RELAY_TLS, { 'tls.crt': good[RELAY_TLS]!['tls.crt']!.slice(0, 300) }), findings: tlsOf(RELAY_TLS, 'parses') },
  { title: 'a certificate of broken DER', change: set(RELAY_TLS, { 'tls.crt': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n' }), findings: tlsOf(RELAY_TLS, 'parses') },
  { title: 'a key of broken DER', change: set(RELAY_TLS, { 'tls.key': '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n' }), findings: tlsOf(RELAY_TLS, 'parses', 'tls.key') },
  { title: 'text that is no PEM for a key', change: set(RELAY_TLS, { 'tls.key': 'it is in the safe' }), findings: tlsOf(RELAY_TLS, 'parses', 'tls.key') },
  { title: 'a key with a passphrase', change: set(RELAY_TLS, { 'tls.key': encrypted(good[RELAY_TLS]!['tls.key']!) }), findings: tlsOf(RELAY_TLS, 'parses', 'tls.key') },
  { title: 'the key of another certificate', change: set(RELAY_TLS, { 'tls.key': good[CONNECTOR_TLS]!['tls.key']! }), findings: tlsOf(RELAY_TLS, 'key-match', 'tls.key') },
  { title: 'a private key beside the certificate', change: set(RELAY_TLS, { 'tls.crt': good[RELAY_TLS]!['tls.crt']! + good[RELAY_TLS]!['tls.key']! }), findings: tlsOf(RELAY_TLS, 'exposed') },
  { title: "the CA's private key beside its certificate", change: set(RELAY_TLS, { 'ca.crt': authority.certificatePem + authority.keyPem }), findings: [[RELAY_TLS, 'ca.crt', 'ca-key'], [RELAY_TLS, 'ca.crt', 'exposed'], ] },
  { title: "the CA's private key in a key of its own", change: set(RELAY_TLS, { 'ca.key': authority.keyPem }), findings: tlsOf(RELAY_TLS, 'ca-key', 'ca.key'), refused: false },
  { title: "the CA's private key under another name", change: set(REGISTRATION, { 'backup.key': authority.keyPem }), findings: [[REGISTRATION, 'backup.key', 'ca-key']], refused: false },
  { title: 'a leaf for the CA', change: set(RELAY_TLS, { 'ca.crt': good[CONNECTOR_TLS]!['tls.crt']! }), findings: tlsOf(RELAY_TLS, 'chain', 'ca.crt') },
  { title: 'another CA of the same name', change: set(RELAY_TLS, { 'ca.crt': foreignAuthority.certificatePem }), findings: tlsOf(RELAY_TLS, 'chain') },
  { title: 'the CA of another trust domain', change: set(RELAY_TLS, { 'ca.crt': otherDomain.certificatePem }), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'a CA that ends soon', change: set(RELAY_TLS, tls(issueCertificate(shortAuthority, relayRequest({ days: 9 })), shortAuthority)), findings: [[RELAY_TLS, 'ca.crt', 'expiry'], [RELAY_TLS, 'tls.crt', 'expiry']], refused: false },
  { title: 'a CA that has expired, of a leaf that has not', change: set(RELAY_TLS, tls(signCertificate(oldAuthority, { commonName: 'relay-1', uris: [`spiffe://${TRUST_DOMAIN}/relay/relay-1`], dnsNames: [`relay-1.relay.${TRUST_DOMAIN}`], purposes: ['serverAuth'], ...days(-25, 60) }), oldAuthority)), findings: tlsOf(RELAY_TLS, 'expiry', 'ca.crt') },
  { title: 'a certificate that has expired', change: relayTls(days(-90, -1)), findings: tlsOf(RELAY_TLS, 'expiry') },
  { title: 'a certificate that is not valid yet', change: relayTls(days(1, 90)), findings: tlsOf(RELAY_TLS, 'expiry') },
  { title: 'a certificate that ends within two weeks', change: relayTls(days(-76, 13.9)), findings: tlsOf(RELAY_TLS, 'expiry'), refused: false },
  { title: 'no URI name', change: uri(), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'two URI names', change: uri(`spiffe://${TRUST_DOMAIN}/relay/relay-1`, `spiffe://${TRUST_DOMAIN}/relay/relay-2`), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'a URI name that is not ours', change: uri(`spiffe://${TRUST_DOMAIN}/ns/ztna/sa/relay`), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'a URI name in upper case', change: uri(`spiffe://${TRUST_DOMAIN}/relay/Relay-1`), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'a URI name with a comma that could pass for two', change: uri(`spiffe://${TRUST_DOMAIN}/relay/relay-1, URI:x`), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: "an agent's certificate for a relay", change: set(RELAY_TLS, tls(issueCertificate(authority, { role: 'agent', name: 'alice' }))), findings: tlsOf(RELAY_TLS, 'identity') },
  { title: 'the CA itself for a certificate', change: set(RELAY_TLS, { 'tls.crt': authority.certificatePem, 'tls.key': authority.keyPem }), findings: [[RELAY_TLS, 'tls.crt', 'identity'], [RELAY_TLS, 'tls.key', 'ca-key']] },
  { title: "a relay without its DNS name", change: relayTls({ dnsNames: [] }), findings: tlsOf(RELAY_TLS, 'services') },
  { title: "a relay with another relay's DNS name", change: relayTls({ dnsNames: [`relay-2.relay.${TRUST_DOMAIN}`] }), findings: tlsOf(RELAY_TLS, 'services') },
  { title: 'a connector without one of its services', change: set(CONNECTOR_TLS, tls(issueCertificate(authority, connectorRequest({ services: ['web'] })))), findings: tlsOf(CONNECTOR_TLS, 'services') },
  { title: 'a relay that may not be a server', change: relayTls({ purposes: ['clientAuth'] }), findings: tlsOf(RELAY_TLS, 'purpose') },
  { title: 'a connector that may only be a client', change: set(CONNECTOR_TLS, tls(explicit({ commonName: 'c', uris: [`spiffe://${TRUST_DOMAIN}/connector/connector-1`], dnsNames: SERVICES.map((name) => `${name}.svc.${TRUST_DOMAIN}`), purposes: ['clientAuth'] }))), findings: tlsOf(CONNECTOR_TLS, 'purpose') },
  { title: 'a key usage without signatures', change: openssl({ key: 'RSA-2048', extensions: relayExtensions(TRUST_DOMAIN, { usage: 'keyEncipherment' }) }), findings: tlsOf(RELAY_TLS, 'purpose'), refused: false },
  { title: 'an RSA key of 1024 bits', change: openssl({ key: 'RSA-1024' }), findings: tlsOf(RELAY_TLS, 'strength') },
  { title: 'a signature with SHA-1', change: openssl({ digest: 'sha1' }), findings: tlsOf(RELAY_TLS, 'strength'), refused: false },
  { title: 'an Ed25519 certificate', change: openssl({ key: 'Ed25519' }), findings: tlsOf(RELAY_TLS, 'strength') },
  { title: 'a P-521 certificate', change: openssl({ key: 'P-521' }), findings: tlsOf(RELAY_TLS, 'strength') },
  {
    title: 'an intermediate pinned as the CA',
    change: (content) => {
      const root = opensslCertificate('root', { extensions: caExtensions() });
      const intermediate = opensslCertificate('intermediate', { extensions: caExtensions(0) }, root);
      set(RELAY_TLS, { ...tls(opensslCertificate('relay-1', { extensions: relayExtensions(TRUST_DOMAIN) }, intermediate)), 'ca.crt': intermediate.certificatePem })(content);
    },
    findings: tlsOf(RELAY_TLS, 'chain', 'ca.crt'),
    refused: false,
  },
  { title: 'a keyring that is no YAML', change: set(RELAY_KEYRING, { 'keyring.yaml': 'keys: [' }), findings: ringFinding('parses') },
  { title: 'a keyring with an alias', change: set(RELAY_KEYRING, { 'keyring.yaml': `a: &x 1\nkeys: []\n` }), findings: ringFinding('parses') },
  { title: 'a keyring without keys', change: set(RELAY_KEYRING, { 'keyring.yaml': 'key: []\n' }), findings: [[RELAY_KEYRING, 'keyring.yaml', 'keyring'], [RELAY_KEYRING, 'keyring.yaml', 'keyring']] },
  { title: 'a keyring with an empty list', change: (content) => { keyring()(content); delete content[REGISTRATION]; delete content[CONNECTOR_CONFIG]; delete content[CONNECTOR_TLS]; }, findings: ringFinding('active-key'), refused: false },
  { title: 'a keyring of which every key has expired', change: (content) => { keyring(...entries({ notBefore: '2020-01-01T00:00:00Z', notAfter: '2020-02-01T00:00:00Z' }))(content); delete content[REGISTRATION]; delete content[CONNECTOR_CONFIG]; delete content[CONNECTOR_TLS]; }, findings: ringFinding('active-key'), refused: false },
  { title: 'a keyring key that ends soon', change: besideGood({ notAfter: new Date(now + 5 * DAY_MS).toISOString() }), findings: ringFinding('expiry'), refused: false },
  ...(
    [
      ['a date that is none', { notAfter: '2030-02-30T00:00:00Z' }],
      ['a date without zone', { notAfter: '2030-01-01T00:00:00' }],
      ['an end before its start', { notAfter: '2020-01-01T00:00:00Z' }],
      ['an unknown algorithm', { algorithm: 'rsa' }],
      ['a key id with a blank', { keyId: 'a b' }],
      ['a key id that is a number', { keyId: 12 }],
      ['a public key of 31 bytes', { publicKey: Buffer.alloc(31, 9).toString('base64') }],
      ['base64 without padding', { publicKey: agentKey.keyringEntry.publicKey!.replace('=', '') }],
      ['a role that cannot register', { scope: { role: 'relay', identities: '*', services: [] } }],
      ['a scope without identities', { scope: { role: 'agent', identities: [], services: [] } }],
      ['an unknown key', { note: 'x' }],
      ['a point of small order', { publicKey: Buffer.from('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', 'hex').toString('base64') }],
    ] as const
  ).map(([what, changes]): Breakage => ({ title: `a keyring with ${what}`, change: besideGood(changes), findings: ringFinding('keyring') })),
  { title: 'an Ed25519 private half in the keyring', change: besideGood({ secret: Buffer.from('0123456789abcdef0123456789abcdef').toString('base64') }), findings: ringFinding('keyring') },
  { title: 'a key id used twice', change: besideGood({ keyId: 'connector-1' }), findings: ringFinding('keyring') },
  { title: 'an all-zero public key', change: besideGood({ publicKey: Buffer.alloc(32).toString('base64') }), findings: ringFinding('sample') },
  { title: 'the public key of the documentation', change: besideGood({ publicKey: 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=' }), findings: ringFinding('sample'), refused: false },
  { title: 'a placeholder for a public key', change: besideGood({ publicKey: 'REPLACE_ME' }), findings: ringFinding('placeholder') },
  { title: 'a placeholder for a date', change: besideGood({ notAfter: '<when>' }), findings: ringFinding('placeholder') },
  { title: 'an HMAC secret of the documentation', change: besideGood({ algorithm: 'hmac-sha256', publicKey: undefined, secret: SAMPLE_SECRET }), findings: ringFinding('sample'), refused: false },
  { title: 'a registration key that is no YAML', change: set(REGISTRATION, { 'registration.yaml': '{' }), findings: regFinding('parses') },
  { title: 'a registration key that is a placeholder', change: regkey({ secret: 'CHANGEME' }), findings: regFinding('placeholder') },
  { title: 'a registration key that is a placeholder in base64', change: regkey({ secret: Buffer.from('replace me with 32 random bytes!').toString('base64') }), findings: regFinding('placeholder'), refused: false },
  { title: 'a registration key of zeros', change: regkey({ secret: Buffer.alloc(32).toString('base64') }), findings: regFinding('sample'), refused: false },
  { title: 'the registration key of the documentation', change: regkey({ secret: SAMPLE_SECRET }), findings: regFinding('sample'), refused: false },
  { title: 'the registration key of RFC 8032', change: regkey({ secret: Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex').toString('base64') }), findings: regFinding('sample'), refused: false },
  { title: 'a registration key that is too short', change: regkey({ secret: Buffer.from('0123456789abcdef').toString('base64') }), findings: regFinding('registration') },
  { title: 'a registration key with an unknown key', change: (content) => { content[REGISTRATION]!['registration.yaml'] += 'note: x\n'; }, findings: regFinding('registration') },
  { title: 'a registration key of a scope that is none', change: (content) => { content[REGISTRATION]!['registration.yaml'] = content[REGISTRATION]!['registration.yaml']!.replace('role: connector', 'role: relay'); }, findings: regFinding('registration') },
  { title: 'a registration key whose own scope is wider than the keyring\'s', change: (content) => { const pair = registrationKey(); set(REGISTRATION, { 'registration.yaml': pair.keyFileYaml })(content); keyring({ ...pair.keyringEntry, scope: { ...pair.keyringEntry.scope, services: ['web'] } })(content); }, findings: regFinding('registration'), refused: false },
  { title: 'another registration key of the same id', change: (content) => { content[REGISTRATION]!['registration.yaml'] = registrationKey().keyFileYaml; }, findings: regFinding('registration'), refused: false },
  { title: 'a registration key that the keyring does not have', change: keyring(agentKey.keyringEntry), findings: regFinding('registration'), refused: false },
  { title: "an agent's registration key for a connector", change: pairWith({ scope: { role: 'agent', identities: ['connector-1'], services: [] } }), findings: regFinding('registration') },
  { title: 'a registration key of another identity', change: pairWith({ scope: { role: 'connector', identities: ['connector-2'], services: '*' } }), findings: regFinding('registration') },
  { title: 'a registration key without one of the services', change: pairWith({ scope: { role: 'connector', identities: '*', services: ['web'] } }), findings: regFinding('registration'), refused: false },
  { title: 'a registration key that the keyring no longer takes', change: pairWith({ notBefore: new Date(now - 9 * DAY_MS), notAfter: new Date(now - DAY_MS) }), findings: regFinding('active-key'), refused: false },
  { title: 'a connector.yaml that is no YAML', change: set(CONNECTOR_CONFIG, { 'connector.yaml': 'services: [' }), findings: [[CONNECTOR_CONFIG, 'connector.yaml', 'parses']] },
];
