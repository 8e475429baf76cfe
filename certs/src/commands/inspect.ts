// `ztna-certs inspect`: what a certificate says, and whether the overlay would accept it.

import { EXIT_CODES, ZtnaError } from '@ztna/protocol';
import type { Command } from 'commander';
import { readTextFile } from '../files/secret-file.js';
import { inspectCertificate, type Inspection } from '../inspect.js';
import { inspectionText } from '../inspection-text.js';
import { parseCertificates } from '../x509/certificate-reader.js';
import { parsePrivateKey } from '../x509/key-pair.js';
import { print } from './options.js';

interface InspectOptions {
  readonly ca?: string;
  readonly key?: string;
  readonly json?: true;
}

export const registerInspect = (program: Command): void => {
  program
    .command('inspect')
    .description('show a certificate and check it; exit code 1 if something is wrong')
    .argument('<file>', 'a certificate or CA, PEM')
    .option('--ca <file>', 'check that this CA signed it')
    .option('--key <file>', 'check that this private key belongs to it')
    .option('--json', 'print one JSON object')
    .action((file: string, options: InspectOptions) => {
      const inspection = inspectFiles(file, options);
      print(options.json ? JSON.stringify(inspection, null, 2) : inspectionText(inspection));
      process.exitCode = inspection.problems.length > 0 ? EXIT_CODES.failed : EXIT_CODES.ok;
    });
};

/** The first certificate of `file`, which is the one TLS presents as the process's own. */
const inspectFiles = (file: string, { ca, key }: InspectOptions): Inspection => {
  const [certificate] = parseCertificates(readTextFile(file).text, file);
  const authorities = ca === undefined ? undefined : parseCertificates(readTextFile(ca).text, ca);
  if (ca !== undefined && authorities?.some(({ isAuthority }) => !isAuthority)) {
    throw new ZtnaError('certificate_unusable', `${ca} holds a certificate that is not a CA's; give --ca the CA's certificate, ca.crt`);
  }
  const keyFile = key === undefined ? undefined : readTextFile(key);
  const inspection = inspectCertificate({
    certificate,
    now: new Date(),
    ...(authorities ? { authorities } : {}),
    ...(keyFile ? { privateKey: parsePrivateKey(keyFile.text, key ?? 'the key') } : {}),
  });
  if (!keyFile?.exposed) return inspection;
  const message = `${key ?? 'the key'} is open to its group or others, so no process will load it; run chmod 600 on it`;
  return { ...inspection, problems: [...inspection.problems, { code: 'key_file_permissions', message }] };
};
