// `ztna-certs issue`: a key and certificate for one agent, connector or relay.

import { Argument, type Command } from 'commander';
import { ROLES, ZtnaError, type Role } from '@ztna/protocol';
import { issueCertificate, type IssuedCertificate } from '../issue-certificate.js';
import { appendLine } from '../files/append-file.js';
import { AUTHORITY_NAME, pairPaths, readAuthority, recordPath, writePair, type PairPaths } from '../files/authority-files.js';
import { inspectCertificate } from '../inspect.js';
import { formatRecord, recordOf } from '../record/issued-record.js';
import { DEFAULT_CERTIFICATE_DAYS, formatInstant } from '../validity.js';
import { parseCertificates } from '../x509/certificate-reader.js';
import { collect, parseDays, print } from './options.js';

interface IssueOptions {
  readonly service?: readonly string[];
  readonly dir: string;
  readonly out?: string;
  readonly days: number;
  readonly force?: true;
}

export const registerIssue = (program: Command): void => {
  program
    .command('issue')
    .description('make NAME.crt and NAME.key for an agent, connector or relay')
    .addArgument(new Argument('<role>', 'what the certificate is for').choices(ROLES))
    .argument('<name>', 'the name in its identity')
    .option('--service <service>', 'a service the connector may serve; repeat for more', collect)
    .option('--dir <dir>', "the CA's directory", '.')
    .option('--out <dir>', "where the two files go (default: the CA's directory)")
    .option('--days <n>', 'days until the certificate expires', parseDays, DEFAULT_CERTIFICATE_DAYS)
    .option('--force', 'replace NAME.crt and NAME.key if they exist')
    .action((role: Role, name: string, options: IssueOptions) => runIssue(role, name, options));
};

const runIssue = (role: Role, name: string, options: IssueOptions): void => {
  const { dir, out = dir, service = [], days, force = false } = options;
  // Checked even with --force, wherever --out points: that pair of names is a CA's.
  if (name === AUTHORITY_NAME) {
    throw new ZtnaError('usage', `${name}.crt and ${name}.key are a CA's own files; choose another name`);
  }
  const authority = readAuthority(dir);
  const issued = issueCertificate(authority, { role, name, services: service, days });
  const paths = pairPaths(out, name);
  writePair(paths, issued, {
    replace: force,
    hint: 'give --force to replace it',
    record: () => appendLine(recordPath(dir), formatRecord(recordOf(issued.certificatePem, authority.certificatePem, new Date()))),
  });
  print([...summary(issued, paths), ...nextSteps(role, name, service)].join('\n'));
};

const summary = (issued: IssuedCertificate, paths: PairPaths): string[] => {
  const [certificate] = parseCertificates(issued.certificatePem, 'the new certificate');
  const { identity, dnsNames } = inspectCertificate({ certificate, now: new Date() });
  return [
    `issued ${identity ?? 'a certificate'}, valid until ${formatInstant(certificate.notAfter)}`,
    ...dnsNames.map((dnsName) => `  name ${dnsName}`),
    `  ${paths.certificate}  public`,
    `  ${paths.key}  secret (0600)`,
  ];
};

const CONFIG_FILES: Record<Role, string> = { agent: 'agent.yaml', connector: 'connector.yaml', relay: 'relay.yaml' };

const nextSteps = (role: Role, name: string, services: readonly string[]): string[] => {
  const copy = `next: put both with ca.crt on the machine of the ${role} and name them under tls: in its ${CONFIG_FILES[role]}`;
  if (role === 'relay') return [`${copy}; clients list it under relays: with name: ${name}`];
  const scope = services.map((service) => ` --service ${service}`).join('');
  return [copy, `then: ztna-certs keygen --key-id ${name} --role ${role} --identity ${name}${scope}`];
};
