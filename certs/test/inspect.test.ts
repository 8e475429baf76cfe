// Inspection names what is wrong with a bad certificate, and survives any input.

import t from 'tap';
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import {
  createAuthority, inspectCertificate, issueCertificate, parseCertificates, signCertificate,
  type ExplicitCertificate, type Inspection,
} from '@ztna/certs';
import { workingDirectory } from './fixtures/working-directory.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const authority = createAuthority({ trustDomain: 'corp.example', now: NOW });
const WINDOW = { notBefore: new Date('2026-03-01T11:55:00Z'), notAfter: new Date('2026-06-01T00:00:00Z') };
const AGENT: ExplicitCertificate = { commonName: 'alice', uris: ['spiffe://corp.example/agent/alice'], dnsNames: [], purposes: ['clientAuth'], ...WINDOW };
const CONNECTOR: ExplicitCertificate = { ...AGENT, uris: ['spiffe://corp.example/connector/c1'], dnsNames: ['web.svc.corp.example'], purposes: ['clientAuth', 'serverAuth'] };
const RELAY: ExplicitCertificate = { ...AGENT, uris: ['spiffe://corp.example/relay/r1'], dnsNames: ['r1.relay.corp.example'], purposes: ['serverAuth'] };

const look = (pem: string, now = NOW): Inspection =>
  inspectCertificate({
    certificate: parseCertificates(pem, 'it')[0],
    authorities: parseCertificates(authority.certificatePem, 'the CA'),
    now,
  });
const codes = (inspection: Inspection): string[] => inspection.problems.map((problem) => problem.code);
const codesOf = (fields: ExplicitCertificate): string[] => codes(look(signCertificate(authority, fields).certificatePem));

t.test('the explicit fields of each role, as issued, have no problem', (t) => {
  for (const good of [AGENT, CONNECTOR, RELAY]) t.same(codesOf(good), []);
  t.end();
});

t.test('each deviation from a profile is named', (t) => {
  const cases: [string, ExplicitCertificate, string[]][] = [
    ['no URI', { ...AGENT, uris: [] }, ['identity_invalid']],
    ['two URIs', { ...AGENT, uris: [...AGENT.uris, 'spiffe://corp.example/agent/bob'] }, ['identity_invalid']],
    ['a role nobody has', { ...AGENT, uris: ['spiffe://corp.example/admin/alice'] }, ['identity_invalid']],
    ['a URI with a byte after the name', { ...AGENT, uris: ['spiffe://corp.example/agent/alice\n'] }, ['identity_invalid']],
    ['a foreign trust domain', { ...AGENT, uris: ['spiffe://other.example/agent/alice'] }, ['trust_domain_mismatch']],
    ['no purpose', { ...AGENT, purposes: [] }, ['certificate_purpose_invalid']],
    ['an agent as server', { ...AGENT, purposes: ['clientAuth', 'serverAuth'] }, ['certificate_purpose_invalid']],
    ['a connector as client only', { ...CONNECTOR, purposes: ['clientAuth'] }, ['certificate_purpose_invalid']],
    ['a leaf that may sign', { ...AGENT, keyUsages: ['digitalSignature', 'keyCertSign'] }, ['certificate_purpose_invalid']],
    ['an agent with a DNS name', { ...AGENT, dnsNames: ['web.svc.corp.example'] }, ['certificate_name_mismatch']],
    ['a connector without services', { ...CONNECTOR, dnsNames: [] }, ['certificate_name_mismatch']],
    ['a connector with a wildcard', { ...CONNECTOR, dnsNames: ['*.svc.corp.example'] }, ['certificate_name_mismatch']],
    ["a connector with a relay's name", { ...CONNECTOR, dnsNames: [...CONNECTOR.dnsNames, 'r1.relay.corp.example'] }, ['certificate_name_mismatch']],
    ["a relay with another relay's name", { ...RELAY, dnsNames: ['r2.relay.corp.example'] }, ['certificate_name_mismatch']],
    ['a relay with a service', { ...RELAY, dnsNames: [...RELAY.dnsNames, 'web.svc.corp.example'] }, ['certificate_name_mismatch']],
    ['expired', { ...AGENT, notAfter: new Date('2026-03-01T11:59:59Z') }, ['certificate_expired']],
    ['not valid yet', { ...AGENT, notBefore: new Date('2026-03-01T12:00:01Z') }, ['certificate_expired']],
  ];
  for (const [what, fields, expected] of cases) t.same(codesOf(fields), expected, what);
  t.end();
});

t.test('validity includes both its ends', (t) => {
  const { certificatePem } = signCertificate(authority, AGENT);
  t.same(codes(look(certificatePem, WINDOW.notBefore)), []);
  t.same(codes(look(certificatePem, WINDOW.notAfter)), []);
  t.equal(look(certificatePem, WINDOW.notAfter).daysLeft, 0);
  t.equal(look(certificatePem, new Date(WINDOW.notAfter.getTime() + 1)).daysLeft, -1);
  t.end();
});

t.test('the chain fails for a namesake CA, and for an expired CA', (t) => {
  const namesake = createAuthority({ trustDomain: 'corp.example', now: NOW });
  const stray = look(signCertificate(namesake, AGENT).certificatePem);
  t.same(codes(stray), ['certificate_unknown_ca']);
  t.equal(stray.chain, 'invalid');

  const short = createAuthority({ trustDomain: 'corp.example', days: 1, now: NOW });
  const outlived = inspectCertificate({
    certificate: parseCertificates(signCertificate(short, AGENT).certificatePem, 'it')[0],
    authorities: parseCertificates(short.certificatePem, 'the CA'),
    now: new Date('2026-03-10T00:00:00Z'),
  });
  t.same(codes(outlived), ['certificate_unknown_ca']);
  t.end();
});

t.test('any CA of a bundle will do, and one that is merely another CA will not', (t) => {
  const other = createAuthority({ trustDomain: 'corp.example', now: NOW });
  const bundle = parseCertificates(`old\n${other.certificatePem}\nnew\n${authority.certificatePem}`, 'the bundle');
  t.equal(bundle.length, 2);
  const [certificate] = parseCertificates(issueCertificate(authority, { role: 'agent', name: 'alice', now: NOW }).certificatePem, 'it');
  t.equal(inspectCertificate({ certificate, authorities: bundle, now: NOW }).chain, 'valid');
  t.equal(inspectCertificate({ certificate, authorities: [bundle[0]], now: NOW }).chain, 'invalid');
  t.equal(inspectCertificate({ certificate: bundle[0], authorities: [bundle[1]!], now: NOW }).chain, 'invalid');
  t.end();
});

t.test('a leaf cannot act as the CA of another', (t) => {
  const [leaf] = parseCertificates(signCertificate(authority, AGENT).certificatePem, 'it');
  t.equal(inspectCertificate({ certificate: leaf, authorities: [leaf], now: NOW }).chain, 'invalid');
  t.end();
});

t.test('a key of another certificate, curve or kind does not match', (t) => {
  const [certificate] = parseCertificates(signCertificate(authority, AGENT).certificatePem, 'it');
  const strangers = [
    generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
    generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
    generateKeyPairSync('ed25519'),
  ];
  for (const { privateKey } of strangers) {
    const inspection = inspectCertificate({ certificate, privateKey, now: NOW });
    t.equal(inspection.key, 'invalid');
    t.same(codes(inspection), ['key_mismatch']);
  }
  t.match(inspectCertificate({ certificate, now: NOW }), { key: 'not checked', chain: 'not checked', problems: [] });
  t.end();
});

t.test('an RSA certificate of somebody else is read and found wanting', (t) => {
  const directory = workingDirectory(t);
  const made = directory.openssl(
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'x.key', '-out', 'x.crt', '-subj', '/O=None',
    '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'subjectAltName=DNS:a.example,IP:127.0.0.1,email:x@a.example',
  );
  t.equal(made.code, 0, made.stderr);
  const pem = directory.openssl('x509', '-in', 'x.crt').stdout;
  const inspection = look(pem, new Date());
  t.match(inspection, { identity: null, subject: null, dnsNames: ['a.example'], chain: 'invalid' });
  t.same(codes(inspection), ['certificate_invalid', 'certificate_invalid', 'identity_invalid', 'certificate_unknown_ca']);
  t.end();
});

t.test('the fingerprint and serial are those openssl prints', (t) => {
  const directory = workingDirectory(t);
  const { certificatePem } = signCertificate(authority, AGENT);
  const printed = directory.openssl('x509', '-noout', '-fingerprint', '-sha256', '-serial', '-in', directory.write('x.crt', certificatePem)).stdout;
  const { fingerprintSha256, serial } = look(certificatePem);
  t.match(printed, `Fingerprint=${fingerprintSha256}\n`);
  t.match(printed, `serial=${serial}\n`);
  t.end();
});

t.test('a certificate with any byte changed is an error, or is not what the CA signed', (t) => {
  const der = parseCertificates(signCertificate(authority, AGENT).certificatePem, 'it')[0].x509.raw;
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (offset, flip) => {
      const bent = Buffer.from(der);
      bent[offset]! ^= flip;
      let inspection: Inspection;
      try {
        inspection = look(`-----BEGIN CERTIFICATE-----\n${bent.toString('base64')}\n-----END CERTIFICATE-----\n`);
      } catch (error) {
        refused += 1;
        return (error as { code?: string }).code === 'certificate_unusable';
      }
      return inspection.chain === 'invalid' && codes(inspection).includes('certificate_unknown_ca');
    }),
    { numRuns: 400 },
  );
  t.ok(refused > 0, 'some could not be decoded');
  t.end();
});

t.test('random text is refused as unusable, never otherwise', (t) => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 300 }), (text, bytes) => {
      for (const input of [text, `-----BEGIN CERTIFICATE-----\n${Buffer.from(bytes).toString('base64')}\n-----END CERTIFICATE-----`]) {
        try {
          parseCertificates(input, 'it');
          return false;
        } catch (error) {
          if ((error as { code?: string }).code !== 'certificate_unusable') return false;
        }
      }
      return true;
    }),
  );
  t.pass('every input was refused with its code');
  t.end();
});
