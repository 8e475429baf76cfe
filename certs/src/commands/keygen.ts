// `ztna-certs keygen`: a registration key, as the client's ID.regkey and an entry of the relay's keyring.

import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { ZtnaError } from '@ztna/protocol';
import { ensureDirectory } from '../files/authority-files.js';
import { writeSecretFile } from '../files/secret-file.js';
import { addToKeyring } from '../registration/keyring-file.js';
import { generateRegistrationKey, KEY_ALGORITHMS, type KeyAlgorithm, type KeyScope } from '../registration/registration-key.js';
import { parseInstant } from '../validity.js';
import { collect, print } from './options.js';

interface KeygenOptions {
  readonly keyId: string;
  readonly role: KeyScope['role'];
  readonly algorithm: KeyAlgorithm;
  readonly identity?: readonly string[];
  readonly anyIdentity?: true;
  readonly service?: readonly string[];
  readonly anyService?: true;
  readonly out: string;
  readonly keyring: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
}

export const registerKeygen = (program: Command): void => {
  program
    .command('keygen')
    .description("make a registration key: the client's ID.regkey and the relay's keyring entry")
    .requiredOption('--key-id <id>', 'names the key in tokens and logs')
    .addOption(new Option('--role <role>', 'who registers with it').choices(['agent', 'connector']).makeOptionMandatory())
    .addOption(new Option('--algorithm <algorithm>', 'how tokens are signed').choices(KEY_ALGORITHMS).default('ed25519'))
    .option('--identity <name>', 'a name that may register with it; repeat for more', collect)
    .option('--any-identity', 'any certificate of the role may register with it')
    .option('--service <service>', 'a service that may be registered with it; repeat for more', collect)
    .option('--any-service', 'any service the certificate names may be registered with it')
    .option('--out <dir>', 'where ID.regkey goes', '.')
    .option('--keyring <file>', "the relay's keyring; made if missing", 'keyring.yaml')
    .option('--not-before <instant>', 'ISO 8601 (default: now)')
    .option('--not-after <instant>', 'ISO 8601 (default: in 365 days)')
    .action((options: KeygenOptions) => runKeygen(options));
};

const runKeygen = (options: KeygenOptions): void => {
  const { keyId, role, algorithm, out, keyring, notBefore, notAfter } = options;
  const { keyFileYaml, keyringEntry } = generateRegistrationKey({
    keyId,
    algorithm,
    scope: {
      role,
      identities: scopeNames('identity', options.identity, options.anyIdentity),
      services: scopeNames('service', options.service, options.anyService),
    },
    ...(notBefore === undefined ? {} : { notBefore: parseInstant(notBefore, '--not-before') }),
    ...(notAfter === undefined ? {} : { notAfter: parseInstant(notAfter, '--not-after') }),
  });
  ensureDirectory(out);
  const keyFile = join(out, `${keyId}.regkey`);
  addToKeyring(keyring, keyringEntry, () => writeSecretFile(keyFile, keyFileYaml));
  print(
    [
      `made registration key ${keyId} (${algorithm}), valid until ${keyringEntry.notAfter}`,
      `  ${keyFile}  secret (0600): put it on the machine of the ${role} and name it under registration: key:`,
      `  ${keyring}  (0600) ${algorithm === 'ed25519' ? 'holds its public half' : 'holds the same secret'}: the relay loads it`,
    ].join('\n'),
  );
};

const scopeNames = (what: 'identity' | 'service', names: readonly string[] = [], any?: true): readonly string[] | '*' => {
  if (any && names.length > 0) throw new ZtnaError('usage', `give --${what} or --any-${what}, not both`);
  return any ? '*' : names;
};
