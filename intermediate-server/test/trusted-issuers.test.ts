// Which CA of a bundle a certificate is from, and whether a later bundle still has that one.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issueCertificate, type Authority } from '@ztna/certs';
import { TrustedIssuers } from '@ztna/intermediate-server';
import t from 'tap';

const bundle = (...pems: readonly string[]): TrustedIssuers => new TrustedIssuers(Buffer.from(pems.join('')));
const leafOf = (authority: Authority): X509Certificate =>
  new X509Certificate(issueCertificate(authority, { role: 'agent', name: 'alice' }).certificatePem);

const [first, second] = [createAuthority({ trustDomain: 'corp.example' }), createAuthority({ trustDomain: 'corp.example' })];
const leaf = leafOf(first);

t.test('a CA that stays in the bundle, wherever it is in it', async (t) => {
  const issuer = bundle(first.certificatePem).issuerOf(leaf)!;
  t.equal(bundle(second.certificatePem, first.certificatePem).issuerOf(leaf), issuer);
  t.ok(bundle(second.certificatePem, first.certificatePem).has(issuer));
  t.notOk(bundle(second.certificatePem).has(issuer), 'one that left takes with it what it issued');
  t.equal(bundle(second.certificatePem).issuerOf(leaf), undefined, 'the other has its name, and not its key');
  t.not(bundle(second.certificatePem).issuerOf(leafOf(second)), issuer);
});

t.test('a CA renewed with its name and key is the same', { skip: hasOpenssl() ? false : 'openssl is not installed' }, async (t) => {
  const renewed = renew(t.testdir({}), first);
  t.not(renewed, first.certificatePem);
  t.ok(bundle(renewed).has(bundle(first.certificatePem).issuerOf(leaf)!));
});

t.test('where the leaf names no key and two CAs have its issuer\'s name, the one that signed it', { skip: hasOpenssl() ? false : 'openssl is not installed' }, async (t) => {
  const plain = signPlain(t.testdir({}), second);
  for (const order of [[first, second], [second, first]]) {
    const both = bundle(...order.map(({ certificatePem }) => certificatePem));
    t.equal(both.issuerOf(plain), bundle(second.certificatePem).issuerOf(leafOf(second)));
  }
});

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env.ZTNA_REQUIRE_TOOLS === '1') throw new Error('openssl is not installed');
    return false;
  }
}

/** The same CA with another serial and validity. */
function renew(directory: string, authority: Authority): string {
  const [old, key] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
  writeFileSync(old, authority.certificatePem);
  writeFileSync(key, authority.keyPem, { mode: 0o600 });
  return execFileSync('openssl', ['x509', '-in', old, '-signkey', key, '-days', '30', '-set_serial', '77'], { stdio: 'pipe' }).toString();
}

/** A leaf without an authority key identifier. */
function signPlain(directory: string, authority: Authority): X509Certificate {
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('ca.crt'), authority.certificatePem);
  writeFileSync(at('ca.key'), authority.keyPem, { mode: 0o600 });
  writeFileSync(at('ext'), 'authorityKeyIdentifier = none\n');
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=plain', '-keyout', at('leaf.key'), '-out', at('csr'));
  openssl('x509', '-req', '-in', at('csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-set_serial', '5', '-extfile', at('ext'), '-days', '1', '-out', at('leaf.crt'));
  return new X509Certificate(execFileSync('openssl', ['x509', '-in', at('leaf.crt')]));
}
