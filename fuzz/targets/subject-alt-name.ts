// The one string Node gives for a certificate's names: it splits safely or not at all.

import { parseIdentity, parseServiceDnsName, parseSubjectAltName } from '@ztna/protocol';
import { utf8 } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

export const target: FuzzTarget = {
  decodes: 'parseSubjectAltName, parseIdentity, parseServiceDnsName',
  maxBytes: 8192,
  memory: { base: 32_768, perByte: 256 },
  dictionary: [', ', 'URI:', 'DNS:', 'IP Address:', '"', '\\u002c', 'spiffe://', 'corp.example', '/agent/', '/connector/', '.svc.corp.example'],
  *seeds() {
    yield utf8('URI:spiffe://corp.example/connector/c1, DNS:web.svc.corp.example, IP Address:127.0.0.1');
    yield utf8('URI:"spiffe://corp.example/agent/a\\u002c DNS:x"');
    yield utf8('');
  },
  run(input) {
    const text = new TextDecoder().decode(input);
    const parsed = parseSubjectAltName(text);
    if (!parsed.ok) return parsed.reason;
    const { names } = parsed;
    ensure(names.map(({ type, value }) => `${type}:${value}`).join(', ') === text, 'joining the names gives another string');
    ensure(names.length <= 256 && names.every(({ type, value }) => type !== '' && !/[",]/.test(type + value)), 'a name that Node would have quoted');
    return names.map(({ value }) => [parseIdentity(value), parseServiceDnsName(value, 'corp.example')]);
  },
};
