// `ztna-certs renew`: the same identity, names and purposes again, under a new key and with new dates.

import type { Command } from 'commander';
import { ZtnaError } from '@ztna/protocol';
import { appendLine } from '../files/append-file.js';
import { AUTHORITY_NAME, readAuthority, recordPath, replacePair, type PairPaths } from '../files/authority-files.js';
import { readSecretFile, readTextFile } from '../files/secret-file.js';
import { inspectCertificate, type Inspection } from '../inspect.js';
import { renewCertificate } from '../issue-certificate.js';
import { formatRecord, recordOf } from '../record/issued-record.js';
import { DAY_MS, formatInstant } from '../validity.js';
import { parseCertificates, type ParsedCertificate } from '../x509/certificate-reader.js';
import { isP256, keyPairOf, keysMatch, parsePrivateKey, type KeyPair } from '../x509/key-pair.js';
import { parseDays, parsePeriod, print } from './options.js';

interface RenewOptions {
  readonly dir: string;
  readonly key?: string;
  readonly days?: number;
  readonly keepKey?: true;
  readonly fromCa?: string;
  readonly expiresIn?: number;
}

/** What may be wrong with a certificate that is to be renewed: only that its time is over, or its CA's. */
const RENEWABLE = 'certificate_expired';

export const registerRenew = (program: Command): void => {
  program
    .command('renew')
    .description('make a certificate anew for the same identity: new key, new dates, both files replaced')
    .argument('<certificate>', 'the certificate to renew, NAME.crt; its key is NAME.key beside it')
    .option('--dir <dir>', "the CA's directory", '.')
    .option('--key <file>', 'its private key (default: NAME.key)')
    .option('--days <n>', 'days until the new one expires (default: as many as the old one had)', parseDays)
    .option('--keep-key', 'keep the private key instead of making a new one')
    .option('--from-ca <file>', 'the CA that signed the old one, when that of --dir is to take over')
    .option('--expires-in <period>', 'only if it expires within this, such as 30d; otherwise nothing is done', parsePeriod)
    .action((file: string, options: RenewOptions) => runRenew(file, options));
};

const runRenew = (file: string, options: RenewOptions): void => {
  const now = new Date();
  const paths = pathsOf(file, options.key);
  const authority = readAuthority(options.dir);
  const [certificate] = parseCertificates(readTextFile(file).text, file);
  const old = checkRenewable(file, certificate, authority.certificatePem, options, now);
  const leftMs = certificate.notAfter.getTime() - now.getTime();
  if (options.expiresIn !== undefined && leftMs > options.expiresIn) {
    return print(`${file} is valid until ${formatInstant(certificate.notAfter)}: nothing to do yet`);
  }
  const privateKey = parsePrivateKey(readSecretFile(paths.key), paths.key);
  if (!keysMatch(privateKey, certificate.x509.publicKey)) {
    throw new ZtnaError('certificate_unusable', `${paths.key} is not the key of ${file}; name it with --key`);
  }
  const keys = options.keepKey ? keyPairToKeep(privateKey, paths.key) : undefined;
  const renewed = renewCertificate(authority, old, { days: options.days ?? lifetimeDays(certificate), now, keys });
  const record = formatRecord(recordOf(renewed.certificatePem, authority.certificatePem, now, certificate.serial));
  const { old: kept } = replacePair(paths, keys ? { certificatePem: renewed.certificatePem } : renewed, () => appendLine(recordPath(options.dir), record));
  const [made] = parseCertificates(renewed.certificatePem, 'the new certificate');
  print(
    [
      `renewed ${old.identity ?? ''}, valid until ${formatInstant(made.notAfter)}`,
      `  ${paths.certificate}  public, serial number ${made.serial}`,
      `  ${paths.key}  ${keys ? 'kept' : 'new, secret (0600)'}`,
      `  ${kept}  the old certificate, serial number ${certificate.serial}${leftMs > 0 ? `, valid until ${formatInstant(certificate.notAfter)}` : ', expired'}`,
      'next: put the new files where the process reads them: it takes them over by itself, without losing a flow',
    ].join('\n'),
  );
};

const pathsOf = (file: string, key: string | undefined): PairPaths => {
  const base = /^(?:.*\/)?([^/]+)\.crt$/.exec(file)?.[1];
  if (base === AUTHORITY_NAME) throw new ZtnaError('usage', `${file} is a CA's own; a CA is not renewed but replaced: see "Rotating the CA" in docs/operations.md`);
  if (key === undefined && base === undefined) throw new ZtnaError('usage', `${file} does not end in .crt; name its private key with --key`);
  return { certificate: file, key: key ?? file.replace(/\.crt$/, '.key') };
};

/** @throws ZtnaError `certificate_unusable` when anything but its dates is wrong with it */
const checkRenewable = (file: string, certificate: ParsedCertificate, caPem: string, { dir, fromCa }: RenewOptions, now: Date): Inspection => {
  const signer = fromCa === undefined ? { pem: caPem, name: `the CA in ${dir}` } : { pem: readTextFile(fromCa).text, name: fromCa };
  const authorities = parseCertificates(signer.pem, signer.name);
  // As of when it was valid: that it has expired, or its CA has, is a reason to renew it and not one to refuse.
  const then = new Date(Math.min(now.getTime(), certificate.notAfter.getTime() - 1000));
  const inspection = inspectCertificate({ certificate, authorities, now: then });
  if (inspection.kind === 'authority') throw new ZtnaError('usage', `${file} is a CA; a CA is not renewed but replaced: see "Rotating the CA" in docs/operations.md`);
  if (inspection.chain === 'invalid' && fromCa === undefined) {
    throw new ZtnaError('certificate_unusable', `${file} was not signed by ${signer.name}; to move it to that CA, name the one that signed it with --from-ca`);
  }
  const problem = inspection.problems.find(({ code }) => code !== RENEWABLE);
  if (problem) throw new ZtnaError('certificate_unusable', `${file} cannot be renewed: ${problem.message}`);
  return inspection;
};

const keyPairToKeep = (privateKey: KeyPair['privateKey'], path: string): KeyPair => {
  if (!isP256(privateKey)) throw new ZtnaError('certificate_unusable', `${path} is not an ECDSA P-256 key; leave out --keep-key to have a new one`);
  return keyPairOf(privateKey);
};

/** notBefore lies a few minutes in the past, which rounding takes out again. */
const lifetimeDays = ({ notBefore, notAfter }: ParsedCertificate): number => Math.max(1, Math.round((notAfter.getTime() - notBefore.getTime()) / DAY_MS));
