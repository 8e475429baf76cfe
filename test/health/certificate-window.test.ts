// How long a process's certificates last: the whole chain counts, and of two CAs the one the chain leads to.

import t from 'tap';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { certificateFault, certificateWindow } from '@ztna/protocol';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const authority = createAuthority({ trustDomain: 'example.test' });
const other = createAuthority({ trustDomain: 'example.test', name: 'next CA' });

const windowOf = (caPem: string, days: number) =>
  certificateWindow({ caPem: Buffer.from(caPem), certificatePem: Buffer.from(issueCertificate(authority, { role: 'relay', name: 'relay-1', days }).certificatePem) });

void t.test('ready from the latest beginning to the earliest end, and not at either side', async (t) => {
  const window = windowOf(authority.certificatePem, 1);
  t.equal(window.until, window.ownUntil);
  t.ok(window.caUntil > window.ownUntil);
  t.ok(Math.abs(window.ownUntil - (NOW + DAY_MS)) < 60_000);
  t.equal(certificateFault(window, NOW), undefined);
  t.equal(certificateFault(window, window.until - 1), undefined);
  t.strictSame(certificateFault(window, window.until), { check: 'certificate', reason: 'expired' });
  t.strictSame(certificateFault(window, window.from - 1), { check: 'certificate', reason: 'not yet valid' });
});

void t.test('a second CA in the bundle does not count, whichever comes first', async (t) => {
  const alone = windowOf(authority.certificatePem, 1);
  for (const bundle of [other.certificatePem + authority.certificatePem, authority.certificatePem + other.certificatePem]) t.equal(windowOf(bundle, 1).caUntil, alone.caUntil);
});
