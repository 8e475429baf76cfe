// What the check `strength` says of keys, held against TLS itself: a relay with each kind of key, and a client.

import t from 'tap';
import { createPrivateKey } from 'node:crypto';
import { OUTER_PROFILE } from '@ztna/protocol';
import { createUdpPair } from '../quic/pair.js';
import { authority, configOf, outerClient, TRUST_DOMAIN } from '../quic/pki.js';
import { Recorder } from '../quic/recorder.js';
import { opensslCertificate, relayExtensions, type KeyKind } from './openssl-pki.js';

for (const [key, accepted] of [['P-256', true], ['P-384', true], ['RSA-2048', true], ['P-521', false], ['Ed25519', false]] as const satisfies readonly (readonly [KeyKind, boolean])[])
  t.test(`a relay with a certificate of ${key} is ${accepted ? 'accepted' : 'refused'}`, async (t) => {
    const issued = opensslCertificate('relay-1', { key, extensions: relayExtensions(TRUST_DOMAIN) }, authority);
    t.ok(createPrivateKey(issued.keyPem).asymmetricKeyType);
    const pair = await createUdpPair(t, { serverConfig: configOf(issued, OUTER_PROFILE) });
    const near = new Recorder();
    pair.connect(outerClient(), near);
    if (accepted) await near.established();
    else {
      await near.ended();
      t.notOk(near.calls.includes('established'));
    }
  });
