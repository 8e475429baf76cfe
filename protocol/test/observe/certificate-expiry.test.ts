// Warnings before a certificate expires: at the thresholds, once a day, and again for a new one.

import t from 'tap';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { ExpiryWarnings, type Logger } from '@ztna/protocol';

const DAY_MS = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const authority = createAuthority({ trustDomain: 'corp.example', now: new Date(NOW) });

const material = (days: number, ca = authority) => ({
  caPem: Buffer.from(ca.certificatePem),
  certificatePem: Buffer.from(issueCertificate(ca, { role: 'agent', name: 'alice', days, now: new Date(NOW) }).certificatePem),
});

interface Line {
  readonly level: string;
  readonly event: string;
  readonly daysLeft: unknown;
  readonly certificate: unknown;
}

const watch = (tls: ReturnType<typeof material>) => {
  const lines: Line[] = [];
  const say = (level: string) => (event: string, fields: Readonly<Record<string, unknown>> = {}) => void lines.push({ level, event, daysLeft: fields.daysLeft, certificate: fields.certificate });
  const log = { warn: say('warn'), error: say('error') } as unknown as Logger;
  const clock = { now: NOW };
  const warnings = new ExpiryWarnings(tls, log, () => clock.now);
  /** What was said since the last call, days after issue. */
  const at = (days: number): Line[] => {
    clock.now = NOW + days * DAY_MS;
    warnings.look();
    return lines.splice(0);
  };
  return { warnings, at, take: () => lines.splice(0) };
};

t.test('warns at 30 days, at 7 and at 1, and says once a day in between', async (t) => {
  const { at } = watch(material(90));
  t.strictSame(at(59), []);
  t.strictSame(at(60.1), [{ level: 'warn', event: 'certificate_expiring', daysLeft: 29, certificate: 'own' }]);
  t.strictSame(at(60.9), [], 'not twice a day');
  t.match(at(61.2), [{ level: 'warn', daysLeft: 28 }]);
  t.match(at(83.5), [{ level: 'warn', daysLeft: 6 }]);
  t.match(at(88.95), [{ level: 'warn', daysLeft: 1 }]);
  t.match(at(89.1), [{ level: 'error', daysLeft: 0 }], 'the last threshold, less than a day later');
  t.match(at(90.01), [{ level: 'error', event: 'certificate_expired', daysLeft: -1 }]);
  t.strictSame(at(90.5), []);
});

t.test('a certificate of a day is not warned of until a third of it is left', async (t) => {
  const { at } = watch(material(1));
  t.strictSame(at(0.1), []);
  t.match(at(0.7), [{ level: 'error', event: 'certificate_expiring', daysLeft: 0 }]);
});

t.test('a CA is warned of by itself', async (t) => {
  const short = createAuthority({ trustDomain: 'corp.example', days: 100, now: new Date(NOW) });
  const { at } = watch(material(100, short));
  t.strictSame(at(75).map(({ certificate }) => certificate), ['own', 'ca']);
});

t.test('a renewed certificate ends the warnings', async (t) => {
  const { warnings, at, take } = watch(material(90));
  t.equal(at(85).length, 1);
  warnings.apply(material(180));
  t.strictSame(take(), []);
  t.strictSame(at(87), []);
});
