// Small texts that people and peers write: addresses, durations, sizes, names and identities.

import {
  byteSize, durationMs, formatHostPort, formatIdentity, isName, isTrustDomain, MAX_DURATION_MS, parseHostPort, parseIdentity, parseServiceDnsName, serviceDnsName,
} from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'parseHostPort, durationMs, byteSize, parseIdentity, parseServiceDnsName, isName',
  maxBytes: 1024,
  memory: { base: 65_536, perByte: 128 },
  dictionary: ['spiffe://', '/agent/', '/relay/', '.svc.', 'corp.example', '[::1]', ':4433', '127.0.0.1', '%eth0', 'KiB', 'ms', '1.5', '999999999999', '\0', '\u212a'],
  *seeds() {
    for (const text of ['127.0.0.1:8080', '[::1]:443', 'db.internal.:5432', '30s', '1.5m', '64KiB', 'spiffe://corp.example/agent/alice', 'web.svc.corp.example', `${'a'.repeat(63)}.b:1`]) yield utf8(text);
  },
  run(input) {
    const text = new TextDecoder().decode(input);
    const address = parseHostPort(text);
    if (address) {
      const again = parseHostPort(formatHostPort(address));
      ensure(again?.host === address.host && again.port === address.port && address.port <= 65_535, 'an address does not read back');
    }
    const identity = parseIdentity(text);
    ensure(!identity || (formatIdentity(identity) === text && isTrustDomain(identity.trustDomain) && isName(identity.name)), 'two texts for one identity');
    const service = parseServiceDnsName(text, 'corp.example');
    ensure(service === undefined || serviceDnsName(service, 'corp.example') === text, 'two texts for one service');
    const duration = durationMs.safeParse(text);
    ensure(!duration.success || (Number.isInteger(duration.data) && duration.data >= 1 && duration.data <= MAX_DURATION_MS), 'a duration no timer takes');
    const size = byteSize.safeParse(text);
    ensure(!size.success || (Number.isSafeInteger(size.data) && size.data >= 1), 'a size that is none');
    return { address, identity, service, duration: duration.data, size: size.data };
  },
};
