// A process's own certificate, key and CA: what is loaded, and each refusal with its message.

import t from 'tap';
import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTlsMaterial, parsePemCertificates, ZtnaError, type Role } from '@ztna/protocol';
import { makeCertificate, skipWithoutOpenssl, type CertificateRequest } from '../support/openssl.js';

t.test('TLS material', { skip: skipWithoutOpenssl() }, (t) => {
  const dir = t.testdir({});
  const at = (name: string): string => join(dir, name);
  const uri = (role: string, name: string) => ['URI', `spiffe://corp.example/${role}/${name}`] as const;
  const make = (stem: string, request: CertificateRequest) => makeCertificate(dir, stem, { issuer: 'ca', ...request });
  const ca = makeCertificate(dir, 'ca', { ca: true });
  makeCertificate(dir, 'other-ca', { ca: true });
  const alice = make('alice', { names: [uri('agent', 'alice')], extendedKeyUsage: 'clientAuth' });
  const load = (stem: string, role: Role = 'agent', overrides: { ca?: string; certificate?: string; key?: string } = {}, now?: Date) =>
    loadTlsMaterial(
      { ca: at(overrides.ca ?? 'ca.pem'), certificate: at(overrides.certificate ?? `${stem}.pem`), key: at(overrides.key ?? `${stem}.key`) },
      { role, ...(now ? { now } : {}) },
    );
  const refusal = (run: () => unknown): string => {
    try {
      run();
    } catch (error) {
      if (isZtnaError(error)) return `${error.code}: ${error.message.replaceAll(`${dir}/`, '')}`;
      throw error;
    }
    return 'accepted';
  };

  t.test('loads what belongs together', (t) => {
    const material = load('alice');
    t.same(material.identity, { trustDomain: 'corp.example', role: 'agent', name: 'alice' });
    t.same(material.caPem, readFileSync(at('ca.pem')));
    t.same(material.certificatePem, readFileSync(at('alice.pem')));
    t.same(material.keyPem, readFileSync(at('alice.key')));
    t.same(material.fingerprint, createHash('sha256').update(alice.raw).digest());
    t.equal(material.notAfter.getTime(), Date.parse(alice.validTo));
    t.same(material.services, []);
    make('web-1', { names: [uri('connector', 'web-1'), ['DNS', 'web.svc.corp.example']], extendedKeyUsage: 'clientAuth,serverAuth' });
    t.same(load('web-1', 'connector').services, ['web'], "a connector's services");
    make('relay-1', { names: [uri('relay', 'relay-1'), ['DNS', 'relay-1.relay.corp.example']], extendedKeyUsage: 'serverAuth' });
    t.equal(load('relay-1', 'relay').identity.name, 'relay-1');
    t.end();
  });

  t.test('accepts a chain through an intermediate in the certificate file, and one of two CAs', (t) => {
    make('intermediate', { ca: true });
    make('deep', { names: [uri('agent', 'deep')], issuer: 'intermediate' });
    t.equal(refusal(() => load('deep')), 'certificate_unusable: deep.pem is not signed by the CA: its issuer is "CN=intermediate", the CA is "CN=ca"');
    writeFileSync(at('chain.pem'), Buffer.concat([readFileSync(at('deep.pem')), readFileSync(at('intermediate.pem'))]));
    t.equal(load('deep', 'agent', { certificate: 'chain.pem' }).identity.name, 'deep');
    writeFileSync(at('both.pem'), Buffer.concat([readFileSync(at('other-ca.pem')), readFileSync(at('ca.pem'))]));
    t.equal(load('alice', 'agent', { ca: 'both.pem' }).identity.name, 'alice');
    t.end();
  });

  t.test('refuses files that do not belong together', (t) => {
    make('bob', { names: [uri('agent', 'bob')] });
    t.equal(refusal(() => load('alice', 'agent', { key: 'bob.key' })), 'certificate_unusable: bob.key is not the key of the certificate in alice.pem');
    t.equal(
      refusal(() => load('alice', 'agent', { ca: 'other-ca.pem' })),
      'certificate_unusable: alice.pem is not signed by the CA: its issuer is "CN=ca", the CA is "CN=other-ca"',
    );
    t.equal(refusal(() => load('alice', 'agent', { ca: 'bob.pem' })), 'certificate_unusable: bob.pem is not a CA certificate');
    t.equal(refusal(() => load('alice', 'relay')), 'certificate_unusable: alice.pem is for the role agent, and this process needs one for relay');
    t.end();
  });

  t.test('a CA of the same name with another key is not the CA', (t) => {
    const twin = t.testdir({});
    makeCertificate(twin, 'ca', { ca: true });
    writeFileSync(at('twin.pem'), readFileSync(join(twin, 'ca.pem')));
    t.match(refusal(() => load('alice', 'agent', { ca: 'twin.pem' })), /^certificate_unusable: alice\.pem is not signed by the CA/);
    t.end();
  });

  t.test('refuses a certificate of another trust domain than every CA states', (t) => {
    makeCertificate(dir, 'stated-ca', { ca: true, names: [['URI', 'spiffe://corp.example']] });
    makeCertificate(dir, 'foreign-ca', { ca: true, names: [['URI', 'spiffe://other.example']] });
    for (const issuer of ['stated-ca', 'foreign-ca']) makeCertificate(dir, `of-${issuer}`, { issuer, names: [uri('agent', 'carol')] });
    t.equal(load('of-stated-ca', 'agent', { ca: 'stated-ca.pem' }).identity.trustDomain, 'corp.example');
    t.equal(
      refusal(() => load('of-foreign-ca', 'agent', { ca: 'foreign-ca.pem' })),
      'certificate_unusable: of-foreign-ca.pem is of the trust domain corp.example, and the CA of other.example: no peer accepts it',
    );
    writeFileSync(at('both.pem'), ['foreign-ca.pem', 'stated-ca.pem'].map((name) => readFileSync(at(name), 'utf8')).join(''));
    t.equal(load('of-stated-ca', 'agent', { ca: 'both.pem' }).identity.trustDomain, 'corp.example');
    t.end();
  });

  t.test('refuses what is out of date, with the dates', (t) => {
    const after = new Date(Date.parse(alice.validTo) + 1000);
    const before = new Date(Date.parse(alice.validFrom) - 1000);
    t.equal(
      refusal(() => load('alice', 'agent', {}, after)),
      `certificate_unusable: alice.pem expired at ${new Date(alice.validTo).toISOString()}, and this machine's clock says ${after.toISOString()}`,
    );
    t.equal(
      refusal(() => load('alice', 'agent', {}, before)),
      `certificate_unusable: alice.pem is not valid before ${new Date(alice.validFrom).toISOString()}, and this machine's clock says ${before.toISOString()}`,
    );
    make('long', { names: [uri('agent', 'long')], days: 9 });
    const later = new Date(Date.parse(ca.validTo) + 1000);
    t.equal(
      refusal(() => load('long', 'agent', {}, later)),
      `certificate_unusable: long.pem leads to a CA certificate that expired at ${new Date(ca.validTo).toISOString()}, and this machine's clock says ${later.toISOString()}`,
    );
    t.end();
  });

  t.test('refuses names and purposes the role cannot work with', (t) => {
    make('nameless', {});
    t.equal(refusal(() => load('nameless')), 'certificate_unusable: nameless.pem cannot be used: the certificate has no URI names, and must have exactly one');
    make('two', { names: [uri('agent', 'a'), uri('agent', 'b')] });
    t.equal(refusal(() => load('two')), 'certificate_unusable: two.pem cannot be used: the certificate has 2 URI names, and must have exactly one');
    make('bad', { names: [uri('agent', 'Bad')] });
    t.match(refusal(() => load('bad')), /^certificate_unusable: bad\.pem cannot be used: the URI name is not spiffe:/);
    make('half', { names: [uri('connector', 'half')], extendedKeyUsage: 'clientAuth' });
    t.equal(refusal(() => load('half', 'connector')), 'certificate_unusable: half.pem lacks the extended key usage serverAuth, which the role connector needs');
    make('anonymous', { names: [uri('relay', 'anonymous'), ['DNS', '*.relay.corp.example']] });
    t.equal(
      refusal(() => load('anonymous', 'relay')),
      'certificate_unusable: anonymous.pem lacks the DNS name anonymous.relay.corp.example, without which every client refuses this relay',
    );
    t.end();
  });

  t.test('a bundle cut anywhere but between its certificates is refused, not taken for a shorter one', (t) => {
    const one = readFileSync(at('alice.pem'), 'latin1').trimEnd();
    const bundle = `# ours\n${one}\n# and the next: -- from 2027 --\n${one}\n`;
    const firstEnd = bundle.indexOf(one) + one.length;
    const secondStart = bundle.lastIndexOf(one);
    for (let length = 0; length <= bundle.length; length++) {
      const parsed = parsePemCertificates(Buffer.from(bundle.slice(0, length), 'latin1'));
      const whole = length >= secondStart + one.length ? 2 : length >= firstEnd && length <= secondStart ? 1 : 0;
      if ((typeof parsed === 'string' ? 0 : parsed.length) !== whole) t.fail(`cut after ${length} bytes: ${String(parsed)}`);
    }
    const damaged = one.replace(/(?<=\n.{10})[A-Za-z]/, '-');
    for (const text of [`${one}\n${damaged}\n`, one + one, `${one} and more\n`, `\ufeff${one}\n`, ` ${one}\n`, `ours: ${one}\n`])
      t.match(parsePemCertificates(Buffer.from(text)), /cut off or damaged/);
    for (const text of [`--------\n${one}\n--------\n`, `${one.replaceAll('\n', '\r\n')}\r\n`, `${one}\n-- the end --\n`]) t.equal(parsePemCertificates(Buffer.from(text)).length, 1);
    t.end();
  });

  t.test('refuses files that hold something else', (t) => {
    writeFileSync(at('text.pem'), 'hello', { mode: 0o600 });
    writeFileSync(at('broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    writeFileSync(at('leaky.pem'), Buffer.concat([readFileSync(at('alice.pem')), readFileSync(at('alice.key'))]));
    writeFileSync(at('locked.key'), '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n', { mode: 0o600 });
    writeFileSync(at('many.pem'), Buffer.concat(Array.from({ length: 17 }, () => readFileSync(at('alice.pem')))));
    t.equal(refusal(() => load('alice', 'agent', { certificate: 'text.pem' })), 'certificate_unusable: text.pem holds no PEM certificate (-----BEGIN CERTIFICATE-----)');
    t.equal(refusal(() => load('alice', 'agent', { ca: 'broken.pem' })), 'certificate_unusable: broken.pem holds a certificate that cannot be decoded');
    t.equal(
      refusal(() => load('alice', 'agent', { certificate: 'leaky.pem' })),
      'certificate_unusable: leaky.pem holds a private key; keep it in a file of its own that nobody else can read',
    );
    t.equal(refusal(() => load('alice', 'agent', { certificate: 'many.pem' })), 'certificate_unusable: many.pem holds more than 16 certificates');
    t.equal(refusal(() => load('alice', 'agent', { key: 'text.pem' })), 'certificate_unusable: text.pem holds no PEM private key');
    t.equal(
      refusal(() => load('alice', 'agent', { key: 'locked.key' })),
      'certificate_unusable: locked.key is encrypted with a passphrase; must be an unencrypted PEM private key',
    );
    t.equal(refusal(() => load('alice', 'agent', { ca: 'absent.pem' })), 'file_unreadable: cannot read absent.pem: no such file; check the path');
    t.end();
  });

  t.test('refuses a key that others can read', (t) => {
    chmodSync(at('alice.key'), 0o640);
    t.match(refusal(() => load('alice')), /^key_file_permissions: alice\.key holds a secret but has mode 0640/);
    chmodSync(at('alice.key'), 0o600);
    t.end();
  });
  t.end();
});

function isZtnaError(error: unknown): error is ZtnaError {
  return error instanceof ZtnaError;
}
