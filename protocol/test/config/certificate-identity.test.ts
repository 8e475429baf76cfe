// Reading an identity out of a leaf: what is accepted, and every trick with names that is not.

import t from 'tap';
import { createHash } from 'node:crypto';
import { parseIdentity, readCertificateIdentity } from '@ztna/protocol';
import { makeCertificate, skipWithoutOpenssl, type RawName } from '../support/openssl.js';

const ALICE = 'spiffe://corp.example/agent/alice';
const WEB_1 = 'spiffe://corp.example/connector/web-1';
let count = 0;

const directory = t.testdir({});
const read = (names: readonly RawName[], extra: readonly string[] = []) =>
  readCertificateIdentity(makeCertificate(directory, `leaf-${count++}`, { names, extra }).raw);

t.test('a leaf with one SPIFFE URI', { skip: skipWithoutOpenssl() }, (t) => {
  const certificate = makeCertificate(directory, 'alice', { names: [['URI', ALICE]] });
  const result = readCertificateIdentity(new Uint8Array(certificate.raw));
  t.ok(result.ok);
  if (!result.ok) throw new Error(result.reason);
  t.same(result.identity, parseIdentity(ALICE), 'gives the identity');
  t.same(result.services, []);
  t.same(result.fingerprint, createHash('sha256').update(certificate.raw).digest(), 'gives the SHA-256 of the DER');
  t.equal(result.notAfter.getTime(), Date.parse(certificate.validTo));
  t.equal(result.notBefore.getTime(), Date.parse(certificate.validFrom));
  t.end();
});

t.test("a connector's services are its svc names in its own trust domain, each once", { skip: skipWithoutOpenssl() }, (t) => {
  const result = read([
    ['URI', WEB_1], ['DNS', 'web.svc.corp.example'], ['DNS', 'ssh-box.svc.corp.example'], ['DNS', 'web.svc.corp.example'],
    ['DNS', 'Web2.svc.corp.example'], ['DNS', 'dot.svc.corp.example.'], ['DNS', 'other.svc.evil.example'], ['DNS', 'a.b.svc.corp.example'],
    ['DNS', '*.svc.corp.example'], ['DNS', 'relay-1.relay.corp.example'], ['DNS', 'up.SVC.corp.example'], ['DNS', 'svc.corp.example'],
    ['IP', Buffer.from([127, 0, 0, 1])], ['email', 'a@corp.example'],
  ]);
  t.same(result.ok && result.services, ['web', 'ssh-box']);
  t.end();
});

t.test('service names give an agent no right to serve', { skip: skipWithoutOpenssl() }, (t) => {
  const result = read([['URI', ALICE], ['DNS', 'web.svc.corp.example']]);
  t.same(result.ok && result.services, []);
  t.end();
});

t.test('a name that imitates a second entry is refused', { skip: skipWithoutOpenssl() }, (t) => {
  const smuggled: [string, readonly RawName[]][] = [
    ['in a DNS name', [['DNS', `x, URI:${ALICE}`]]],
    ['in a DNS name beside a true URI', [['URI', WEB_1], ['DNS', `x, URI:${ALICE}`]]],
    ['in an email address', [['email', `x, URI:${ALICE}`]]],
    ['in the URI', [['URI', `${ALICE}, DNS:web.svc.corp.example`]]],
    ['with a quote of its own', [['DNS', `x", URI:${ALICE}, DNS:"y`]]],
    ['with an escaped quote', [['DNS', `x\\", URI:${ALICE}`]]],
    ['with a NUL after the service', [['URI', WEB_1], ['DNS', 'web.svc.corp.example\0.evil.example']]],
    ['with a NUL in the URI', [['URI', `${ALICE}\0.evil`]]],
    ['with a line feed', [['URI', WEB_1], ['DNS', `x\nURI:${ALICE}`]]],
  ];
  for (const [title, names] of smuggled) {
    const result = read(names);
    t.same(
      result,
      { ok: false, code: 'identity_invalid', reason: 'a subject alternative name holds characters no name of ours has' },
      title,
    );
  }
  t.end();
});

t.test('exactly one URI name', { skip: skipWithoutOpenssl() }, (t) => {
  const none = { ok: false, code: 'identity_invalid', reason: 'the certificate has no URI names, and must have exactly one' };
  t.same(read([['DNS', 'web.svc.corp.example']]), none, 'none');
  t.same(readCertificateIdentity(makeCertificate(directory, 'bare').raw), none, 'no subjectAltName at all');
  t.same(read([['URI', ALICE], ['URI', WEB_1]]), { ...none, reason: 'the certificate has 2 URI names, and must have exactly one' }, 'two');
  t.same(read([['URI', ALICE], ['URI', ALICE]]), { ...none, reason: 'the certificate has 2 URI names, and must have exactly one' }, 'one twice');
  t.end();
});

t.test('a URI that is not exactly an identity is refused', { skip: skipWithoutOpenssl() }, (t) => {
  const reason = 'the URI name is not spiffe://<trust-domain>/<agent|connector|relay>/<name>';
  for (const uri of [
    'spiffe://Corp.example/agent/alice', 'spiffe://corp.example/Agent/alice', 'spiffe://corp.example/agent/Alice', 'SPIFFE://corp.example/agent/alice',
    'spiffe://corp.example./agent/alice', 'spiffe://corp.example/agent/alice.', 'spiffe://corp.example/agent/alice/', 'spiffe://corp.example/agent/',
    'spiffe://corp.example/admin/alice', 'spiffe://corp.example:443/agent/alice', 'spiffe://u@corp.example/agent/alice', 'spiffe://corp.example/agent/alice?x',
    'spiffe://corp.example/agent/al%69ce', 'spiffe:///agent/alice', 'https://corp.example/agent/alice', ' spiffe://corp.example/agent/alice', 'x',
  ])
    t.same(read([['URI', uri]]), { ok: false, code: 'identity_invalid', reason }, uri);
  t.end();
});

t.test('two subjectAltName extensions are refused, whichever a library would read', { skip: skipWithoutOpenssl() }, (t) => {
  const der = Buffer.from(
    // 2.5.29.99 is as long as 2.5.29.17: one byte of the OID makes it a second subjectAltName.
    makeCertificate(directory, 'twice', { names: [['URI', ALICE]], extra: ['2.5.29.99 = DER:30:03:86:01:78'] }).raw,
  );
  const oid = der.indexOf(Buffer.from('0603551d63', 'hex'));
  t.ok(oid > 0);
  der[oid + 4] = 0x11;
  t.match(readCertificateIdentity(der), { ok: false });
  t.same(readCertificateIdentity(der), { ok: false, code: 'identity_invalid', reason: 'the certificate has more than one subjectAltName extension' });
  t.end();
});

t.test('what is not exactly one DER leaf is refused as certificate_invalid', { skip: skipWithoutOpenssl() }, (t) => {
  const certificate = makeCertificate(directory, 'whole', { names: [['URI', ALICE]] });
  const refusal = (der: Uint8Array): string => {
    const result = readCertificateIdentity(der);
    return result.ok ? 'accepted' : `${result.code}: ${result.reason}`;
  };
  t.equal(refusal(Buffer.from(certificate.toString())), 'certificate_invalid: the certificate is not exactly one DER certificate', 'PEM');
  t.equal(refusal(Buffer.concat([certificate.raw, Buffer.from([0])])), 'certificate_invalid: the certificate is not exactly one DER certificate', 'a byte after it');
  t.equal(refusal(new Uint8Array(40_000)), 'certificate_invalid: the certificate is larger than 32768 bytes');
  t.equal(
    refusal(makeCertificate(directory, 'signer', { names: [['URI', ALICE]], ca: true }).raw),
    'certificate_invalid: the certificate is a CA certificate',
  );
  for (let length = 0; length < certificate.raw.length; length++)
    if (readCertificateIdentity(certificate.raw.subarray(0, length)).ok) t.fail(`truncated to ${length} bytes`);
  t.equal(refusal(certificate.raw.subarray(0, 100)), 'certificate_invalid: the certificate cannot be decoded', 'truncated');
  t.end();
});

t.test('no change of one byte throws', { skip: skipWithoutOpenssl() }, (t) => {
  const { raw } = makeCertificate(directory, 'flipped', { names: [['URI', WEB_1], ['DNS', 'web.svc.corp.example']] });
  for (let offset = 0; offset < raw.length; offset++)
    for (const bits of [0x01, 0x20, 0x80, 0xff]) {
      const der = Buffer.from(raw);
      der[offset]! ^= bits;
      const result = readCertificateIdentity(der);
      if (!result.ok && result.reason === '') t.fail(`no reason at ${offset}`);
    }
  t.pass(`${raw.length * 4} variants`);
  t.end();
});
