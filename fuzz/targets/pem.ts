// A file of PEM certificates.

import { parsePemCertificates } from '@ztna/protocol';
import { asBuffer, utf8 } from './support/chunks.js';
import { certificateWithNames, generalNames } from './support/der.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const BEGIN = '-----BEGIN CERTIFICATE-----\n';
const END = '\n-----END CERTIFICATE-----\n';

export const target: FuzzTarget = {
  decodes: 'parsePemCertificates',
  maxBytes: 8192,
  memory: { base: 131_072, perByte: 512 },
  dictionary: [BEGIN, END, '-----BEGIN ', '-----END ', '-----', 'PRIVATE KEY', 'EC ', '-----BEGIN EC PRIVATE KEY-----\n', '\n-----END EC PRIVATE KEY-----\n', '=', '\r\n'],
  *seeds() {
    const der = Buffer.from(certificateWithNames(generalNames(['spiffe://corp.example/agent/alice'], [])));
    const block = `${BEGIN}${der.toString('base64').replace(/.{64}/g, '$&\n')}${END}`;
    yield utf8(block);
    yield utf8(`comment\n${block}${block}`);
    yield utf8('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    yield utf8(BEGIN.repeat(20));
  },
  run(input) {
    const parsed = parsePemCertificates(asBuffer(input));
    if (typeof parsed === 'string') return parsed;
    ensure(parsed.length >= 1 && parsed.length <= 16, `${parsed.length} certificates`);
    return parsed.map((certificate) => certificate.fingerprint256);
  },
};
