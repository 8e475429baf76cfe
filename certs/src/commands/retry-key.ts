// `ztna-certs retry-key`: the key by which relays of a fleet accept each other's address validation tokens.

import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { formatRetryKeyFile, MIN_RETRY_KEY_BYTES } from '@ztna/protocol';
import type { Command } from 'commander';
import { ensureDirectory } from '../files/authority-files.js';
import { writeSecretFile } from '../files/secret-file.js';
import { print } from './options.js';

export const registerRetryKey = (program: Command): void => {
  program
    .command('retry-key')
    .description('make the key that relays behind one address share: a client validated by one is known to all')
    .option('--out <file>', 'where it goes', 'retry.key')
    .option('--force', 'replace the file, to change the key')
    .action(({ out, force = false }: { out: string; force?: boolean }) => runRetryKey(out, force));
};

const runRetryKey = (out: string, replace: boolean): void => {
  ensureDirectory(dirname(out));
  writeSecretFile(out, formatRetryKeyFile(randomBytes(MIN_RETRY_KEY_BYTES)), { replace });
  print(
    [
      'made a key for Retry tokens',
      `  ${out}  secret (0600): put the same file on every relay of the fleet and name it under retryKey: in relay.yaml`,
    ].join('\n'),
  );
};
