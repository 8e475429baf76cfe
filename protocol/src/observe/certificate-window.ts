// How long this process's own certificates last: its leaf, and the chain above it up to the pinned CA.
// What was loaded was verified (config/tls-material.ts); here only time passes.

import type { X509Certificate } from 'node:crypto';
import { parsePemCertificates } from '../config/certificate-chain.js';
import type { TlsMaterial } from '../config/tls-material.js';
import type { NumberFamily } from './metric-family.js';
import type { ReadinessFault } from './readiness.js';

/** All in milliseconds since the Unix epoch. */
export interface CertificateWindow {
  /** The whole chain, CA included, is valid from here … */
  readonly from: number;
  /** … until here. */
  readonly until: number;
  readonly ownFrom: number;
  readonly ownUntil: number;
  /** Of the CA in the bundle that the chain leads to. */
  readonly caFrom: number;
  readonly caUntil: number;
}

export const certificateWindow = (tls: Pick<TlsMaterial, 'caPem' | 'certificatePem'>): CertificateWindow => {
  const roots = certificatesOf(tls.caPem);
  const chain = certificatesOf(tls.certificatePem);
  const used = [...pathOf(chain, roots)];
  return {
    from: Math.max(...used.map(({ validFrom }) => Date.parse(validFrom))),
    until: Math.min(...used.map(({ validTo }) => Date.parse(validTo))),
    ownFrom: Date.parse(used[0]!.validFrom),
    ownUntil: Date.parse(used[0]!.validTo),
    caFrom: Date.parse(used.at(-1)!.validFrom),
    caUntil: Date.parse(used.at(-1)!.validTo),
  };
};

/** @param now milliseconds since the Unix epoch */
export const certificateFault = ({ from, until }: CertificateWindow, now: number): ReadinessFault | undefined =>
  now >= from && now < until ? undefined : { check: 'certificate', reason: now < from ? 'not yet valid' : 'expired' };

/** @param current as of now: a reload replaces certificates */
export const certificateFamily = (current: () => CertificateWindow): NumberFamily => ({
  type: 'gauge',
  name: 'ztna_certificate_seconds_left',
  help: "Until this process's own certificate and the CA above it expire; negative once they have",
  labels: { certificate: { values: ['own', 'ca'] } },
  read: (emit) => {
    const { ownUntil, caUntil } = current();
    const now = Date.now();
    emit((ownUntil - now) / 1000, { certificate: 'own' });
    emit((caUntil - now) / 1000, { certificate: 'ca' });
  },
});

/** Leaf first, CA last; each issued by the next. */
function* pathOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): Generator<X509Certificate> {
  let current = chain[0]!;
  const left = new Set(chain.slice(1));
  for (;;) {
    yield current;
    const issued = (candidate: X509Certificate): boolean => current.checkIssued(candidate);
    // A renewed CA keeps its name and key: the one that lasts longest is what handshakes can rest on.
    const root = roots.filter(issued).sort((a, b) => Date.parse(b.validTo) - Date.parse(a.validTo))[0];
    if (root) {
      yield root;
      return;
    }
    const issuer = [...left].find(issued);
    if (!issuer) return;
    left.delete(issuer);
    current = issuer;
  }
}

const certificatesOf = (pem: Buffer): X509Certificate[] => {
  const parsed = parsePemCertificates(pem);
  return typeof parsed === 'string' ? [] : parsed;
};
