// The certificates of a CA as an operator lists them: what the record says, and certificates in its folder that the
// record lacks. Owns which of them matter and what their state is; printing is the command's.

import { DAY_MS } from '../validity.js';
import type { IssuedRecord } from './issued-record.js';

/** A certificate that is `renewed` has a newer one of the same identity; it may still be valid. */
export type CertificateState = 'valid' | 'expiring' | 'expired' | 'not yet valid' | 'renewed' | 'revoked';

/** Plain data: what `ztna-certs list --json` prints. */
export interface ListedCertificate extends Omit<IssuedRecord, 'issuedAt' | 'renews'> {
  readonly role: string;
  readonly name: string;
  /** Whole days until notAfter, rounded down; negative once expired. */
  readonly daysLeft: number;
  readonly state: CertificateState;
}

export interface ListOptions {
  readonly now: Date;
  /** Milliseconds before notAfter from which on a certificate is `expiring`. */
  readonly expiringMs: number;
  readonly isRevoked: (record: IssuedRecord) => boolean;
}

/** Those that expire first come first. A serial number that is recorded twice is listed once. */
export const listCertificates = (records: readonly IssuedRecord[], options: ListOptions): ListedCertificate[] => {
  const bySerial = new Map(records.map((record) => [record.serial, record]));
  const renewed = new Set(records.flatMap(({ renews }) => renews ?? []));
  return [...bySerial.values()]
    .map((record) => listed(record, renewed.has(record.serial), options))
    .sort((a, b) => a.notAfter.localeCompare(b.notAfter) || a.serial.localeCompare(b.serial));
};

/** What needs an operator's attention: expired certificates too, as their processes stand still. */
export const isDue = ({ state }: ListedCertificate): boolean => state === 'expiring' || state === 'expired';

const listed = (record: IssuedRecord, renewed: boolean, options: ListOptions): ListedCertificate => {
  const { serial, identity, services, notBefore, notAfter, ca } = record;
  const [role = '', name = ''] = identity.split('/').slice(-2);
  const left = Date.parse(notAfter) - options.now.getTime();
  return {
    serial, identity, role, name, services, notBefore, notAfter, ca,
    daysLeft: Math.floor(left / DAY_MS),
    state: stateOf(record, left, renewed, options),
  };
};

const stateOf = (record: IssuedRecord, left: number, renewed: boolean, { now, expiringMs, isRevoked }: ListOptions): CertificateState => {
  if (isRevoked(record)) return 'revoked';
  if (renewed) return 'renewed';
  if (left <= 0) return 'expired';
  if (Date.parse(record.notBefore) > now.getTime()) return 'not yet valid';
  return left <= expiringMs ? 'expiring' : 'valid';
};
