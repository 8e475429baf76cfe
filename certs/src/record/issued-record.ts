// What a CA has signed, one JSON object a line, in issued.jsonl beside it. Owns the line's form and reading a file that
// may hold anything: a line that is none of ours is counted and left out, the others stand. No line holds a secret.

import { isName, parseIdentity } from '@ztna/protocol';
import { inspectCertificate } from '../inspect.js';
import { parseCertificates } from '../x509/certificate-reader.js';

/** One certificate as it was signed. */
export interface IssuedRecord {
  /** Upper-case hexadecimal. */
  readonly serial: string;
  /** As a SPIFFE URI. */
  readonly identity: string;
  readonly services: readonly string[];
  /** ISO 8601, as are the others. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** SHA-256 of the CA's certificate, as openssl prints it. */
  readonly ca: string;
  readonly issuedAt: string;
  /** The serial number of the certificate that this one is the renewal of. */
  readonly renews?: string;
}

export interface IssuedRecords {
  readonly records: readonly IssuedRecord[];
  /** Numbers of the lines, from 1, that are no record. */
  readonly faultyLines: readonly number[];
}

/** @param renews serial number of the certificate it is the renewal of */
export const recordOf = (certificatePem: string, authorityPem: string, now: Date, renews?: string): IssuedRecord => {
  const [certificate] = parseCertificates(certificatePem, 'the new certificate');
  const [authority] = parseCertificates(authorityPem, 'the CA certificate');
  const { identity, services, notBefore, notAfter } = inspectCertificate({ certificate, now });
  return {
    serial: certificate.serial,
    identity: identity ?? '',
    services: [...services],
    notBefore,
    notAfter,
    ca: authority.x509.fingerprint256,
    issuedAt: now.toISOString(),
    ...(renews === undefined ? {} : { renews }),
  };
};

export const formatRecord = (record: IssuedRecord): string => `${JSON.stringify(record)}\n`;

/** Every line that is a record, in order. Never throws, whatever the text is. */
export const parseRecords = (text: string): IssuedRecords => {
  const records: IssuedRecord[] = [];
  const faultyLines: number[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const record = toRecord(parseJson(line));
    if (record) records.push(record);
    else faultyLines.push(index + 1);
  });
  return { records, faultyLines };
};

const SERIAL = /^[0-9A-F]{1,40}$/;
const FINGERPRINT = /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/;

/** Undefined unless every field is as `recordOf` writes it; fields of a later version are left out. */
const toRecord = (value: unknown): IssuedRecord | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const { serial, identity, services, notBefore, notAfter, ca, issuedAt, renews } = value as Readonly<Record<string, unknown>>;
  if (!isText(serial, SERIAL) || !isText(ca, FINGERPRINT) || (renews !== undefined && !isText(renews, SERIAL))) return undefined;
  if (typeof identity !== 'string' || parseIdentity(identity) === undefined) return undefined;
  if (!Array.isArray(services) || !services.every((service): service is string => typeof service === 'string' && isName(service))) return undefined;
  if (!isInstant(notBefore) || !isInstant(notAfter) || !isInstant(issuedAt)) return undefined;
  return { serial, identity, services, notBefore, notAfter, ca, issuedAt, ...(renews === undefined ? {} : { renews }) };
};

const isText = (value: unknown, form: RegExp): value is string => typeof value === 'string' && form.test(value);

/** Exactly what `toISOString` writes. */
const isInstant = (value: unknown): value is string => {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) return false;
  return !Number.isNaN(Date.parse(value));
};

const parseJson = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

/** Hexadecimal in any spelling that tools print, in the form of the records; undefined for anything else. */
export const parseSerial = (text: string): string | undefined => {
  const bare = text.replaceAll(':', '').toUpperCase().replace(/^0X/, '').replace(/^0+(?=.)/, '');
  return /^[0-9A-F]{1,40}$/.test(bare) ? bare : undefined;
};

/** Whether two serial numbers are the same, whatever zeros lead them. */
export const sameSerial = (one: string, other: string): boolean => parseSerial(one) === parseSerial(other);
