// `ztna-certs list`: what a CA has signed, and what of it is about to expire.

import { EXIT_CODES, loadDocument, NOTHING_REVOKED, parseIdentity, parseRevocations } from '@ztna/protocol';
import type { Command } from 'commander';
import { printable } from '../inspection-text.js';
import { isDue, listCertificates, type ListedCertificate } from '../record/certificate-list.js';
import { readRecords } from '../record/read-records.js';
import { DAY_MS } from '../validity.js';
import { parsePeriod, print } from './options.js';

interface ListCommandOptions {
  readonly dir: string;
  readonly expiring?: number;
  readonly all?: true;
  readonly denyList?: string;
  readonly json?: true;
}

/** A third of the 90 days that certificates live by default. */
const DEFAULT_EXPIRING_MS = 30 * DAY_MS;

export const registerList = (program: Command): void => {
  program
    .command('list')
    .description('show the certificates of a CA, those that expire first on top')
    .option('--dir <dir>', "the CA's directory", '.')
    .option('--expiring <period>', 'only those that are expired or expire within this, such as 30d; exit code 1 if there are any', parsePeriod)
    .option('--all', 'also those that were renewed')
    .option('--deny-list <file>', "the relay's deny list, to mark what is revoked")
    .option('--json', 'print a JSON array')
    .action((options: ListCommandOptions) => runList(options));
};

const runList = ({ dir, expiring, all, denyList, json }: ListCommandOptions): void => {
  const { records, faultyLines } = readRecords(dir);
  const revocations = denyList === undefined ? NOTHING_REVOKED : loadDocument(denyList, parseRevocations).revocations;
  const certificates = listCertificates(records, {
    now: new Date(),
    expiringMs: expiring ?? DEFAULT_EXPIRING_MS,
    isRevoked: ({ identity, serial }) => {
      const parsed = parseIdentity(identity);
      return parsed !== undefined && revocations.revokes(parsed, serial);
    },
  }).filter((one) => (expiring === undefined ? all === true || one.state !== 'renewed' : isDue(one)));
  if (faultyLines.length > 0) {
    process.stderr.write(`ztna-certs: ${dir}/issued.jsonl: line ${faultyLines.join(', ')} cannot be read and is left out; the certificate it stood for may be missing here\n`);
  }
  print(json ? JSON.stringify(certificates, null, 2) : table(certificates));
  if (expiring !== undefined && certificates.length > 0) process.exitCode = EXIT_CODES.failed;
};

const HEAD = ['STATE', 'DAYS LEFT', 'ROLE', 'NAME', 'SERVICES', 'VALID FROM', 'VALID UNTIL', 'SERIAL NUMBER', 'CA'];

const table = (certificates: readonly ListedCertificate[]): string => {
  if (certificates.length === 0) return 'none';
  const rows = [HEAD, ...certificates.map(row)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n');
};

const row = ({ state, daysLeft, role, name, services, notBefore, notAfter, serial, ca }: ListedCertificate): string[] =>
  [state, String(daysLeft), role, name, services.join(',') || '-', notBefore.slice(0, 10), notAfter.slice(0, 10), serial, shortFingerprint(ca)].map(printable);

/** Enough to tell two CAs apart. */
const shortFingerprint = (fingerprint: string): string => (fingerprint === '' ? '-' : fingerprint.slice(0, 11));
