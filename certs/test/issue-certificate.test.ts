// The library's rules: who may be issued what, for how long.

import t from 'tap';
import fc from 'fast-check';
import { ROLES, isName, isTrustDomain, serviceDnsName } from '@ztna/protocol';
import { createAuthority, inspectCertificate, issueCertificate, parseCertificates, parsePrivateKey } from '@ztna/certs';
import type { Authority, CertificateRequest } from '@ztna/certs';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const DAY = 86_400_000;
const authority = createAuthority({ trustDomain: 'corp.example', days: 365, now: NOW });

const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/).filter(isName);
const trustDomain = fc.array(name, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')).filter(isTrustDomain);
const request: fc.Arbitrary<CertificateRequest> = fc.oneof(
  fc.record({ role: fc.constantFrom('agent', 'relay'), name }),
  fc.record({ role: fc.constant('connector'), name, services: fc.uniqueArray(name, { minLength: 1, maxLength: 64 }) }),
);

t.test('what is issued is what inspection reads back, without problems', (t) => {
  fc.assert(
    fc.property(trustDomain, request, fc.integer({ min: 1, max: 3650 }), (domain, asked, days) => {
      const ca = createAuthority({ trustDomain: domain, now: NOW });
      const issued = issueCertificate(ca, { ...asked, days, now: NOW });
      const read = inspectCertificate({
        certificate: parseCertificates(issued.certificatePem, 'it')[0],
        authorities: parseCertificates(ca.certificatePem, 'the CA'),
        privateKey: parsePrivateKey(issued.keyPem, 'the key'),
        now: NOW,
      });
      const { role, name: asName, services = [] } = asked;
      const expected = {
        kind: 'certificate',
        identity: `spiffe://${domain}/${role}/${asName}`,
        trustDomain: domain,
        role,
        name: asName,
        services,
        subject: asName,
        daysLeft: days,
        chain: 'valid',
        key: 'valid',
        problems: [],
        dnsNames: role === 'relay' ? [`${asName}.relay.${domain}`] : services.map((service) => serviceDnsName(service, domain)),
        notAfter: new Date(NOW.getTime() + days * DAY).toISOString(),
      };
      return t.match(read, expected) && read.dnsNames.length === expected.dnsNames.length && read.services.length === services.length;
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('a CA reads back as the authority of its trust domain', (t) => {
  fc.assert(
    fc.property(trustDomain, (domain) => {
      const ca = createAuthority({ trustDomain: domain, now: NOW });
      const certificates = parseCertificates(ca.certificatePem, 'the CA');
      const read = inspectCertificate({ certificate: certificates[0], authorities: certificates, privateKey: parsePrivateKey(ca.keyPem, 'the key'), now: NOW });
      return t.match(read, { kind: 'authority', identity: null, trustDomain: domain, pathLength: 0, chain: 'valid', key: 'valid', problems: [] });
    }),
    { numRuns: 30 },
  );
  t.end();
});

t.test('the trust domain comes from the URI of the CA, whatever its common name says', (t) => {
  const named = createAuthority({ trustDomain: 'corp.example', name: 'spiffe://evil.example', now: NOW });
  const issued = issueCertificate(named, { role: 'agent', name: 'alice', now: NOW });
  t.same(parseCertificates(issued.certificatePem, 'it')[0].uris, ['spiffe://corp.example/agent/alice']);
  t.end();
});

t.test('notBefore is five minutes ago, but never before the CA', (t) => {
  const startOf = (now: Date): Date =>
    parseCertificates(issueCertificate(authority, { role: 'agent', name: 'alice', now }).certificatePem, 'it')[0].notBefore;
  t.same(startOf(new Date('2026-03-02T12:00:00Z')), new Date('2026-03-02T11:55:00Z'));
  t.same(startOf(NOW), new Date('2026-03-01T11:55:00Z'));
  t.same(startOf(new Date('2026-03-01T11:57:00Z')), new Date('2026-03-01T11:55:00Z'));
  t.end();
});

t.test('a certificate lasts 90 days unless told otherwise', (t) => {
  const { certificatePem } = issueCertificate(authority, { role: 'agent', name: 'alice', now: NOW });
  t.same(parseCertificates(certificatePem, 'it')[0].notAfter, new Date('2026-05-30T12:00:00Z'));
  t.end();
});

t.test('a validity that leaves its CA is refused, to the second', (t) => {
  const within = { notBefore: new Date('2026-03-01T11:55:00Z'), notAfter: new Date('2027-03-01T12:00:00Z') };
  t.ok(issueCertificate(authority, { role: 'agent', name: 'alice', ...within }));
  const refused = [
    { ...within, notBefore: new Date('2026-03-01T11:54:59Z') },
    { ...within, notAfter: new Date('2027-03-01T12:00:01Z') },
    { days: 366, now: NOW },
    { days: 90, now: new Date('2027-02-01T00:00:00Z') },
    { days: 1, now: new Date('2026-02-01T00:00:00Z') },
  ];
  for (const validity of refused) {
    t.throws(() => issueCertificate(authority, { role: 'agent', name: 'alice', ...validity }), { code: 'certificate_unusable' }, JSON.stringify(validity));
  }
  t.end();
});

t.test('an empty, invalid or doubly stated validity is refused', (t) => {
  const refused: Partial<CertificateRequest>[] = [
    { notBefore: NOW, notAfter: NOW },
    { notBefore: new Date(Number.NaN) },
    { notAfter: new Date(Number.NaN) },
    { days: 5, notAfter: new Date('2026-04-01T00:00:00Z') },
    { days: 0 },
    { days: -1 },
    { days: 1.5 },
    { days: Number.NaN },
    { days: 36_501 },
  ];
  for (const validity of refused) {
    t.throws(() => issueCertificate(authority, { role: 'agent', name: 'alice', now: NOW, ...validity }), { code: 'usage' }, JSON.stringify(validity));
  }
  t.end();
});

t.test('names outside the rule are refused for every role', (t) => {
  const bad = ['', 'Alice', 'a.b', '-a', 'a-', 'a/b', '../a', 'a b', 'é', 'a\n', 'a'.repeat(64), '*'];
  for (const role of ROLES) {
    const services = role === 'connector' ? ['web'] : [];
    for (const name of bad) t.throws(() => issueCertificate(authority, { role, name, services, now: NOW }), { code: 'usage' }, `${role} ${name}`);
  }
  for (const service of bad) {
    t.throws(() => issueCertificate(authority, { role: 'connector', name: 'c1', services: [service], now: NOW }), { code: 'usage' }, service);
  }
  t.end();
});

t.test('services belong to a connector, 1 to 64 of them, each once', (t) => {
  const many = Array.from({ length: 65 }, (_, index) => `s${index}`);
  const refused: CertificateRequest[] = [
    { role: 'agent', name: 'alice', services: ['web'] },
    { role: 'relay', name: 'relay-1', services: ['web'] },
    { role: 'connector', name: 'c1' },
    { role: 'connector', name: 'c1', services: [] },
    { role: 'connector', name: 'c1', services: many },
    { role: 'connector', name: 'c1', services: ['web', 'web'] },
    { role: 'edge' as never, name: 'e1' },
  ];
  for (const bad of refused) t.throws(() => issueCertificate(authority, { ...bad, now: NOW }), { code: 'usage' }, JSON.stringify(bad));
  t.ok(issueCertificate(authority, { role: 'connector', name: 'c1', services: many.slice(1), now: NOW }));
  t.end();
});

t.test('an authority whose parts do not fit cannot sign', (t) => {
  const other = createAuthority({ trustDomain: 'corp.example', now: NOW });
  const leaf = issueCertificate(authority, { role: 'agent', name: 'alice', now: NOW });
  const unusable: [string, Authority, RegExp][] = [
    ["another CA's key", { ...authority, keyPem: other.keyPem }, /does not belong/],
    ['a leaf', leaf, /may not sign/],
    ['no key', { ...authority, keyPem: 'secret text' }, /no unencrypted private key/],
    ['no certificate', { ...authority, certificatePem: '' }, /no certificate/],
    ['a garbled certificate', { ...authority, certificatePem: authority.certificatePem.replace('MI', 'AA') }, /cannot be decoded/],
  ];
  for (const [what, bad, message] of unusable) {
    t.throws(() => issueCertificate(bad, { role: 'agent', name: 'alice', now: NOW }), { code: 'certificate_unusable', message }, what);
  }
  t.end();
});

t.test('a message about an unusable key does not quote it', (t) => {
  t.throws(() => parsePrivateKey('hunter2', 'it'), { message: /^it holds no unencrypted private key in PEM form$/ });
  t.end();
});

t.test('a trust domain or CA name outside the rules is refused', (t) => {
  for (const bad of ['', 'Corp.example', 'corp..example', '.corp', 'corp.', 'a b', 'spiffe://corp', 'corp/x', `${'a'.repeat(60)}.`.repeat(3) + 'a']) {
    t.throws(() => createAuthority({ trustDomain: bad }), { code: 'usage' }, bad);
  }
  for (const bad of ['', ' ', 'a\nb', 'a\u202eb', 'a\0', 'x'.repeat(65)]) {
    t.throws(() => createAuthority({ trustDomain: 'corp.example', name: bad }), { code: 'usage' }, JSON.stringify(bad));
  }
  t.end();
});

t.test('a trust domain too long for a common name still gets a CA', (t) => {
  const domain = `${'a'.repeat(60)}.example`;
  const [ca] = parseCertificates(createAuthority({ trustDomain: domain }).certificatePem, 'the CA');
  t.equal(ca.commonName, 'ztna CA');
  t.same(ca.uris, [`spiffe://${domain}`]);
  t.end();
});
