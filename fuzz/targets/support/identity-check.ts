// What must hold of whatever the certificate reader accepts.

import { formatIdentity, isName, parseIdentity, readCertificateIdentity } from '@ztna/protocol';
import { ensure } from './fuzz-target.js';

export const checkedIdentity = (der: Uint8Array): unknown => {
  const read = readCertificateIdentity(der);
  if (!read.ok) return read;
  const { identity, services, fingerprint, notBefore, notAfter } = read;
  ensure(parseIdentity(formatIdentity(identity)) !== undefined, 'an identity that is none');
  ensure(Buffer.from(der).includes(formatIdentity(identity)), 'an identity the certificate does not hold');
  ensure(identity.role === 'connector' || services.length === 0, 'services of something that is no connector');
  ensure(new Set(services).size === services.length, 'a service twice');
  for (const service of services) ensure(isName(service) && Buffer.from(der).includes(`${service}.svc.${identity.trustDomain}`), 'a service the certificate does not name');
  ensure(fingerprint.length === 32 && !Number.isNaN(notBefore.getTime()) && !Number.isNaN(notAfter.getTime()), 'a fingerprint or validity that is none');
  return read;
};
