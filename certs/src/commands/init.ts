// `ztna-certs init`: makes the CA of a trust domain, once.

import type { Command } from 'commander';
import { createAuthority } from '../authority.js';
import { authorityPaths, writePair } from '../files/authority-files.js';
import { DEFAULT_AUTHORITY_DAYS } from '../validity.js';
import { parseDays, print } from './options.js';

interface InitOptions {
  readonly dir: string;
  readonly trustDomain: string;
  readonly days: number;
  readonly name?: string;
}

export const registerInit = (program: Command): void => {
  program
    .command('init')
    .description('make the CA of a trust domain: ca.crt and ca.key')
    .requiredOption('--dir <dir>', 'where the two files go; made if missing')
    .requiredOption('--trust-domain <domain>', 'such as corp.example; part of every identity')
    .option('--days <n>', 'days until the CA expires', parseDays, DEFAULT_AUTHORITY_DAYS)
    .option('--name <cn>', 'common name, for people (default: "<trust domain> CA")')
    .action((options: InitOptions) => runInit(options));
};

const runInit = ({ dir, trustDomain, days, name }: InitOptions): void => {
  const paths = authorityPaths(dir);
  const authority = createAuthority({ trustDomain, days, ...(name === undefined ? {} : { name }) });
  writePair(paths, authority, { replace: false, hint: 'replacing a CA cuts off every certificate it signed, so remove it yourself if you mean to' });
  print(
    [
      `made the CA of ${trustDomain}, valid ${days} days`,
      `  ${paths.certificate}  public: every process pins it`,
      `  ${paths.key}  secret (0600): whoever has it can be anyone; keep it off the machines it signs for`,
      `next: ztna-certs issue relay relay-1 --dir ${dir}`,
    ].join('\n'),
  );
};
