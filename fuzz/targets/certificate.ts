// A peer's leaf certificate, DER. OpenSSL decodes it; who it speaks for is ours to read.

import { hex } from './support/chunks.js';
import { certificateWithNames, generalNames } from './support/der.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';
import { checkedIdentity } from './support/identity-check.js';

export const target: FuzzTarget = {
  decodes: 'readCertificateIdentity',
  maxBytes: 40_000,
  memory: { base: 65_536, perByte: 128 },
  dictionary: [hex('0603551d11'), hex('0603551d13'), hex('30030101ff'), 'spiffe://', '-----BEGIN CERTIFICATE-----'],
  *seeds() {
    const seed = certificateWithNames(generalNames(['spiffe://corp.example/connector/c1'], ['web.svc.corp.example']));
    ensure((checkedIdentity(seed) as { ok: boolean }).ok, 'the seed is not accepted');
    yield seed;
    yield certificateWithNames(generalNames(['spiffe://corp.example/agent/alice'], []));
    yield certificateWithNames(generalNames([], []));
  },
  run: checkedIdentity,
};
