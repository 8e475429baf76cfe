// The record of a CA from its folder, together with the certificates that lie there and are not in it: those that
// were issued before there was a record, or copied from elsewhere.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ZtnaError } from '@ztna/protocol';
import { recordPath } from '../files/authority-files.js';
import { existing, readTextFile } from '../files/secret-file.js';
import { inspectCertificate } from '../inspect.js';
import { parseCertificates } from '../x509/certificate-reader.js';
import { parseRecords, type IssuedRecord, type IssuedRecords } from './issued-record.js';

/** @throws ZtnaError `file_unreadable` when the folder, or a record that is there, cannot be read */
export const readRecords = (directory: string): IssuedRecords => {
  const path = recordPath(directory);
  const known: IssuedRecords = existing(path) ? parseRecords(readTextFile(path).text) : { records: [], faultyLines: [] };
  const serials = new Set(known.records.map(({ serial }) => serial));
  const found = certificateFiles(directory).flatMap((file) => readCertificate(file) ?? []);
  return { ...known, records: [...known.records, ...found.filter(({ serial }) => !serials.has(serial))] };
};

const certificateFiles = (directory: string): string[] => {
  try {
    return readdirSync(directory).filter((file) => file.endsWith('.crt')).map((file) => join(directory, file));
  } catch (cause) {
    throw new ZtnaError('file_unreadable', `directory ${directory} cannot be read`, { cause });
  }
};

/** Undefined for a CA, or anything else that is no certificate of a process. */
const readCertificate = (file: string): IssuedRecord | undefined => {
  try {
    const [certificate, issuer] = parseCertificates(readTextFile(file).text, file);
    const { identity, services, notBefore, notAfter } = inspectCertificate({ certificate, now: new Date() });
    if (identity === null) return undefined;
    // Without its CA at hand there is no fingerprint of it to name.
    const ca = issuer?.x509.fingerprint256 ?? '';
    return { serial: certificate.serial, identity, services: [...services], notBefore, notAfter, ca, issuedAt: notBefore };
  } catch {
    return undefined;
  }
};
