// The record of what was issued against hostile content, and the deny list's text against any other.

import t from 'tap';
import fc from 'fast-check';
import { createAuthority, formatRecord, issueCertificate, parseRecords, parseSerial, recordOf, withDenied, type IssuedRecord } from '@ztna/certs';
import { parseRevocations, Revocations, ZtnaError } from '@ztna/protocol';
import { parse } from 'yaml';

const authority = createAuthority({ trustDomain: 'corp.example' });
const issued = issueCertificate(authority, { role: 'connector', name: 'c1', services: ['web', 'dns'] });
const record: IssuedRecord = recordOf(issued.certificatePem, authority.certificatePem, new Date('2026-11-21T12:00:00Z'), 'AB12');

t.test('a record is read as it was written', async (t) => {
  t.strictSame(parseRecords(formatRecord(record) + formatRecord(record)), { records: [record, record], faultyLines: [] });
  t.match(record, { identity: 'spiffe://corp.example/connector/c1', services: ['web', 'dns'], renews: 'AB12' });
});

t.test('a record holds no secret', async (t) => {
  for (const line of issued.keyPem.split('\n').slice(1, -2)) t.notMatch(formatRecord(record), line);
});

t.test('whatever stands between two records, both are read, and nothing throws', async () => {
  const junk = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.constantFrom('{', '{"serial":null}', '[]', 'null', '{"__proto__":{"serial":"1"}}', '\u0000'));
  fc.assert(
    fc.property(fc.array(junk, { maxLength: 8 }), (lines) => {
      const { records } = parseRecords(formatRecord(record) + lines.join('\n') + '\n' + formatRecord(record));
      return records.length >= 2 && records.every(({ serial, identity }) => /^[0-9A-F]+$/.test(serial) && identity.startsWith('spiffe://'));
    }),
  );
});

t.test('each field that is not as it is written makes the line faulty', async (t) => {
  const bad: [keyof IssuedRecord, unknown][] = [
    ['serial', 'xyz'], ['serial', '\u001b[2J'], ['identity', 'alice'], ['services', ['\u001b]0;x\u0007']], ['services', 'web'],
    ['notBefore', 'yesterday'], ['notAfter', '2026-99-01T00:00:00.000Z'], ['ca', ''], ['issuedAt', 5], ['renews', 'g'],
  ];
  for (const [field, value] of bad) {
    t.strictSame(parseRecords(JSON.stringify({ ...record, [field]: value })), { records: [], faultyLines: [1] }, `${field} ${JSON.stringify(value)}`);
  }
});

t.test('a serial number is one, however it is spelled', async (t) => {
  for (const spelling of ['AB12', 'ab12', '0xAB12', '00:ab:12', '0000AB12']) t.equal(parseSerial(spelling), 'AB12', spelling);
  for (const none of ['', '0x', 'g', 'a b', '1'.repeat(41)]) t.equal(parseSerial(none), undefined, none);
});

t.test('a deny list of any content is refused, or grows by exactly the entry', async () => {
  const name = fc.constantFrom('a', 'alice', 'db-1');
  const list = fc.record({ serials: fc.array(fc.stringMatching(/^[0-9a-f]{1,8}$/)), identities: fc.array(name.map((text) => `agent/${text}`)) }, { requiredKeys: [] });
  const text = fc.oneof(fc.string({ unit: 'binary' }), list.map((value) => JSON.stringify(value)), fc.constant(''));
  const denied = fc.oneof(fc.stringMatching(/^[0-9A-F]{1,8}$/).map((serial) => ({ serial })), name.map((one) => ({ identity: `connector/${one}` })));
  fc.assert(
    fc.property(text, denied, (current, entry) => {
      let next: string | undefined;
      try {
        next = withDenied(current, entry, 'deny.yaml');
      } catch (error) {
        return error instanceof ZtnaError && error.code === 'config_invalid';
      }
      const parsed = parseRevocations(parse(next ?? current));
      const before = parseRevocations(parse(current) ?? {});
      if (!parsed.ok || !before.ok) return false;
      const holds = 'serial' in entry ? parsed.revocations.hasSerial(entry.serial) : parsed.revocations.hasIdentity({ role: 'connector', name: entry.identity.slice('connector/'.length) });
      return holds && parsed.revocations.size === before.revocations.size + (next === undefined ? 0 : 1);
    }),
  );
});

t.test('an identity on the list says nothing about a serial number, nor the other way round', async (t) => {
  const revocations = new Revocations(['ab'], ['agent/alice']);
  t.equal(revocations.hasSerial('00:AB'), true);
  t.equal(revocations.hasIdentity({ role: 'agent', name: 'alice' }), true);
  t.equal(revocations.hasIdentity({ role: 'connector', name: 'alice' }), false);
  t.equal(revocations.hasSerial('cd'), false);
});
