// An independent reader agrees: openssl verifies the certificates and prints what was meant.

import t from 'tap';
import { createAuthority, issueCertificate, parseCertificates, signCertificate } from '@ztna/certs';
import { workingDirectory } from './fixtures/working-directory.js';

const authority = createAuthority({ trustDomain: 'corp.example' });
const ISSUED = {
  alice: issueCertificate(authority, { role: 'agent', name: 'alice' }),
  c1: issueCertificate(authority, { role: 'connector', name: 'c1', services: ['web', 'ssh-box'] }),
  'relay-1': issueCertificate(authority, { role: 'relay', name: 'relay-1' }),
};

t.test('verify accepts each role for its purposes and no other, strictly', (t) => {
  const directory = workingDirectory(t);
  directory.write('ca.crt', authority.certificatePem);
  const accepted: Record<keyof typeof ISSUED, string[]> = {
    alice: ['sslclient'],
    c1: ['sslclient', 'sslserver'],
    'relay-1': ['sslserver'],
  };
  for (const name of Object.keys(ISSUED) as (keyof typeof ISSUED)[]) {
    directory.write(`${name}.crt`, ISSUED[name].certificatePem);
    for (const purpose of ['sslclient', 'sslserver']) {
      const { code, stderr } = directory.openssl('verify', '-x509_strict', '-CAfile', 'ca.crt', '-purpose', purpose, `${name}.crt`);
      t.equal(code, accepted[name].includes(purpose) ? 0 : 2, `${name} as ${purpose}`);
      if (code !== 0) t.match(stderr, 'unsuitable certificate purpose');
    }
  }
  t.equal(directory.openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.crt', 'ca.crt').code, 0);
  t.end();
});

t.test('verify -verify_hostname accepts the relay and service names and no other', (t) => {
  const directory = workingDirectory(t);
  directory.write('ca.crt', authority.certificatePem);
  const verify = (name: keyof typeof ISSUED, hostname: string): number | null => {
    directory.write(`${name}.crt`, ISSUED[name].certificatePem);
    return directory.openssl('verify', '-CAfile', 'ca.crt', '-verify_hostname', hostname, `${name}.crt`).code;
  };
  t.equal(verify('relay-1', 'relay-1.relay.corp.example'), 0);
  t.equal(verify('c1', 'web.svc.corp.example'), 0);
  t.equal(verify('c1', 'ssh-box.svc.corp.example'), 0);
  t.equal(verify('c1', 'db.svc.corp.example'), 2);
  t.equal(verify('alice', 'web.svc.corp.example'), 2);
  t.end();
});

t.test('x509 -text shows the fields of a connector', (t) => {
  const directory = workingDirectory(t);
  const text = oneSpace(directory.openssl('x509', '-noout', '-text', '-in', directory.write('c1.crt', ISSUED.c1.certificatePem)).stdout);
  t.match(text, 'Version: 3 (0x2)');
  t.match(text, 'Signature Algorithm: ecdsa-with-SHA256');
  t.match(text, 'Issuer: CN = corp.example CA');
  t.match(text, 'NIST CURVE: P-256');
  t.match(text, 'X509v3 Basic Constraints: critical CA:FALSE');
  t.match(text, 'X509v3 Key Usage: critical Digital Signature X509v3');
  t.match(text, 'X509v3 Extended Key Usage: TLS Web Client Authentication, TLS Web Server Authentication X509v3');
  t.match(
    text,
    'X509v3 Subject Alternative Name: URI:spiffe://corp.example/connector/c1, DNS:web.svc.corp.example, DNS:ssh-box.svc.corp.example Signature',
  );
  t.end();
});

t.test('x509 -text shows the names and purposes of an agent and a relay', (t) => {
  const directory = workingDirectory(t);
  const textOf = (name: keyof typeof ISSUED): string =>
    oneSpace(directory.openssl('x509', '-noout', '-text', '-in', directory.write(`${name}.crt`, ISSUED[name].certificatePem)).stdout);
  t.match(textOf('alice'), 'Alternative Name: URI:spiffe://corp.example/agent/alice Signature');
  t.match(textOf('alice'), 'Extended Key Usage: TLS Web Client Authentication X509v3');
  t.match(textOf('relay-1'), 'Alternative Name: URI:spiffe://corp.example/relay/relay-1, DNS:relay-1.relay.corp.example Signature');
  t.match(textOf('relay-1'), 'Extended Key Usage: TLS Web Server Authentication X509v3');
  t.end();
});

t.test('x509 -text shows the fields of the CA, and its identifiers link to the leaf', (t) => {
  const directory = workingDirectory(t);
  const ca = oneSpace(directory.openssl('x509', '-noout', '-text', '-in', directory.write('ca.crt', authority.certificatePem)).stdout);
  t.match(ca, 'X509v3 Basic Constraints: critical CA:TRUE, pathlen:0');
  t.match(ca, 'X509v3 Key Usage: critical Certificate Sign, CRL Sign X509v3');
  t.match(ca, 'X509v3 Subject Alternative Name: URI:spiffe://corp.example X509v3');
  t.match(ca, 'X509v3 Name Constraints: critical Permitted: DNS:corp.example URI:corp.example Signature');
  t.notMatch(ca, 'Extended Key Usage');

  const leaf = oneSpace(directory.openssl('x509', '-noout', '-text', '-in', directory.write('alice.crt', ISSUED.alice.certificatePem)).stdout);
  const identifier = /Subject Key Identifier: ([0-9A-F:]{59}) /.exec(ca)?.[1] ?? 'none found';
  t.not(identifier, 'none found');
  t.match(leaf, `Authority Key Identifier: ${identifier} `);
  t.notMatch(leaf, `Subject Key Identifier: ${identifier} `);
  t.end();
});

t.test('the key file is PKCS#8 and holds the private key of the certificate', (t) => {
  const directory = workingDirectory(t);
  t.match(ISSUED.alice.keyPem, /^-----BEGIN PRIVATE KEY-----\n/);
  const fromKey = directory.openssl('pkey', '-pubout', '-in', directory.write('alice.key', ISSUED.alice.keyPem));
  const fromCertificate = directory.openssl('x509', '-noout', '-pubkey', '-in', directory.write('alice.crt', ISSUED.alice.certificatePem));
  t.equal(fromKey.code, 0);
  t.equal(fromKey.stdout, fromCertificate.stdout);
  t.end();
});

t.test('serial numbers are positive, 16 bytes, minimal, and differ', (t) => {
  const directory = workingDirectory(t);
  const serials = new Set<string>();
  const fields = { commonName: 'x', uris: [], dnsNames: [], purposes: [], notBefore: new Date(), notAfter: new Date() };
  for (let index = 0; index < 32; index += 1) {
    const { certificatePem } = signCertificate(authority, fields);
    const { serial } = parseCertificates(certificatePem, 'it')[0];
    t.match(serial, /^[4-7][0-9A-F]{31}$/);
    serials.add(serial);
    if (index === 0) {
      t.equal(directory.openssl('x509', '-noout', '-serial', '-in', directory.write('x.crt', certificatePem)).stdout, `serial=${serial}\n`);
    }
  }
  t.equal(serials.size, 32);
  t.end();
});

t.test('dates through 2049 are UTCTime and from 2050 GeneralizedTime', (t) => {
  const directory = workingDirectory(t);
  const timesOf = (notBefore: string, notAfter: string): string[] => {
    const dates = { notBefore: new Date(notBefore), notAfter: new Date(notAfter) };
    const { certificatePem } = signCertificate(authority, { commonName: 'x', uris: [], dnsNames: [], purposes: [], ...dates });
    const [parsed] = parseCertificates(certificatePem, 'it');
    t.same([parsed.notBefore, parsed.notAfter], [dates.notBefore, dates.notAfter], 'and are read back the same');
    const dump = directory.openssl('asn1parse', '-in', directory.write('x.crt', certificatePem)).stdout;
    return [...dump.matchAll(/prim: (UTCTIME|GENERALIZEDTIME) +:(\S+)/g)].map((match) => match.slice(1).join(' '));
  };
  t.same(timesOf('2026-01-02T03:04:05Z', '2049-12-31T23:59:59Z'), ['UTCTIME 260102030405Z', 'UTCTIME 491231235959Z']);
  t.same(timesOf('2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z'), ['UTCTIME 491231235959Z', 'GENERALIZEDTIME 20500101000000Z']);
  t.end();
});

t.test('verify refuses what the name constraints and the path length of the CA forbid', (t) => {
  const directory = workingDirectory(t);
  directory.write('ca.crt', authority.certificatePem);
  const window = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 3_600_000) };
  const base = { commonName: 'x', uris: [], dnsNames: [], purposes: ['clientAuth'], ...window } as const;
  const verify = (certificatePem: string) =>
    directory.openssl('verify', '-CAfile', 'ca.crt', directory.write('x.crt', certificatePem));
  t.equal(verify(signCertificate(authority, { ...base, uris: ['spiffe://corp.example/agent/x'] }).certificatePem).code, 0);
  for (const stray of [
    { uris: ['spiffe://other.example/agent/x'] },
    { uris: ['spiffe://sub.corp.example/agent/x'] },
    { uris: ['spiffe://corp.example/agent/x'], dnsNames: ['web.svc.other.example'] },
    { uris: ['spiffe://corp.example/agent/x'], dnsNames: ['web.svc.notcorp.example'] },
  ]) {
    const { code, stderr } = verify(signCertificate(authority, { ...base, ...stray }).certificatePem);
    t.equal(code, 2, JSON.stringify(stray));
    t.match(stderr, 'permitted subtree violation');
  }
  t.end();
});

t.test('a common name outside ASCII survives', (t) => {
  const directory = workingDirectory(t);
  const { certificatePem } = createAuthority({ trustDomain: 'corp.example', name: 'Zürich CA 株式会社' });
  const { stdout } = directory.openssl('x509', '-noout', '-subject', '-nameopt', 'utf8', '-in', directory.write('ca.crt', certificatePem));
  t.match(stdout, 'Zürich CA 株式会社');
  t.end();
});

function oneSpace(text: string): string {
  return text.replace(/\s+/g, ' ');
}
