// The names of a certificate: the input is the value of its subjectAltName extension, and every length around
// it is right, so that the search spends itself on the names. Read as GeneralNames, and as one name of each kind.

import { certificateWithNames, generalNames, tlv } from './support/der.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { checkedIdentity } from './support/identity-check.js';

const IDENTITY = 'spiffe://corp.example/connector/c1';

export const target: FuzzTarget = {
  decodes: 'readCertificateIdentity, parseSubjectAltName',
  maxBytes: 2048,
  memory: { base: 131_072, perByte: 512 },
  dictionary: ['spiffe://', 'corp.example', '/agent/', '/connector/', '.svc.', ', ', 'URI:', 'DNS:', '"', '\0', IDENTITY, '\x86\x22', '\x82\x14'],
  *seeds() {
    yield generalNames([IDENTITY], ['web.svc.corp.example', 'ssh-box.svc.corp.example']);
    yield generalNames(['spiffe://corp.example/agent/alice', IDENTITY], []);
    yield generalNames([`${IDENTITY}, URI:spiffe://corp.example/agent/root`], []);
    yield Buffer.from('web.svc.corp.example');
  },
  run(input) {
    const asNames = checkedIdentity(certificateWithNames(input));
    // A name of any bytes beside one identity adds services at most; it can't become a second identity.
    const beside = checkedIdentity(certificateWithNames(tlv(0x30, tlv(0x86, Buffer.from(IDENTITY)), tlv(0x82, input)))) as { ok: boolean; identity?: { name: string } };
    ensure(!beside.ok || beside.identity?.name === 'c1', 'a DNS name changed who the certificate speaks for');
    const uri = checkedIdentity(certificateWithNames(tlv(0x30, tlv(0x86, input)))) as { ok: boolean; services?: readonly string[] };
    ensure(!uri.ok || uri.services?.length === 0, 'a URI gave the right to serve');
    return { asNames, beside, uri };
  },
};
