// Registration keys: the client's key file and the relay's keyring entry, two views of one fresh key.
// Owns their making and their YAML; the keyring file is keyring-file.ts, minting and verifying are @ztna/protocol's.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { ZtnaError } from '@ztna/protocol';
import { stringify } from 'yaml';
import { checkName } from '../issue-certificate.js';
import { DEFAULT_REGISTRATION_KEY_DAYS, formatInstant, validityFrom } from '../validity.js';

export const KEY_ALGORITHMS = ['ed25519', 'hmac-sha256'] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** RFC 2104 §3: as long as the hash's output; longer adds nothing. */
const HMAC_SECRET_BYTES = 32;

/** Who may register with a key. `'*'` is any name the certificate already proves. */
export interface KeyScope {
  readonly role: 'agent' | 'connector';
  readonly identities: readonly string[] | '*';
  /** Always `[]` for an agent, which serves nothing. */
  readonly services: readonly string[] | '*';
}

export interface KeyringEntry {
  readonly keyId: string;
  readonly algorithm: KeyAlgorithm;
  /** Ed25519 only: base64 of the 32-byte public key. */
  readonly publicKey?: string;
  /** HMAC only: base64; makes the keyring a secret too. */
  readonly secret?: string;
  readonly scope: KeyScope;
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface RegistrationKeyRequest {
  readonly keyId: string;
  /** Default ed25519: the relay then holds nothing that can mint a token. */
  readonly algorithm?: KeyAlgorithm;
  readonly scope: KeyScope;
  /** Default: five minutes before now. */
  readonly notBefore?: Date;
  /** Default: 365 days from now. */
  readonly notAfter?: Date;
  /** Default: the present. */
  readonly now?: Date;
}

export interface RegistrationKey {
  /** The client's file; write it with `writeSecretFile`. */
  readonly keyFileYaml: string;
  readonly keyringEntry: KeyringEntry;
}

/** @throws ZtnaError `usage` for a bad name, an empty scope or an empty validity */
export const generateRegistrationKey = (request: RegistrationKeyRequest): RegistrationKey => {
  const { keyId, algorithm = 'ed25519', scope, now = new Date() } = request;
  checkName('key id', keyId);
  checkScope(scope);
  const defaults = validityFrom(now, DEFAULT_REGISTRATION_KEY_DAYS);
  const { notBefore = defaults.notBefore, notAfter = defaults.notAfter } = request;
  if (!(notBefore < notAfter)) {
    throw new ZtnaError('usage', `key ${keyId} would end (${formatInstant(notAfter)}) before it begins (${formatInstant(notBefore)})`);
  }
  const { secret, relayHalf } = freshKey(algorithm);
  return {
    keyFileYaml: `# Registration key. Secret: readable by its owner only.\n${stringify({ keyId, algorithm, secret, scope: { role: scope.role, identities: scope.identities, services: scope.services } })}`,
    keyringEntry: {
      keyId,
      algorithm,
      ...relayHalf,
      scope: { role: scope.role, identities: scope.identities, services: scope.services },
      notBefore: notBefore.toISOString(),
      notAfter: notAfter.toISOString(),
    },
  };
};

const freshKey = (algorithm: KeyAlgorithm): { secret: string; relayHalf: Pick<KeyringEntry, 'publicKey' | 'secret'> } => {
  if (algorithm === 'hmac-sha256') {
    const secret = randomBytes(HMAC_SECRET_BYTES).toString('base64');
    return { secret, relayHalf: { secret } };
  }
  // RFC 8037 §2: JWK `d` is the 32-byte seed of RFC 8032 §5.1.5, `x` the public key.
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { secret: base64(d), relayHalf: { publicKey: base64(x) } };
};

const base64 = (base64url: string | undefined): string => Buffer.from(base64url ?? '', 'base64url').toString('base64');

const checkScope = ({ role, identities, services }: KeyScope): void => {
  checkNames('identity', identities);
  if (role === 'connector') checkNames('service', services);
  else if (services.length > 0) throw new ZtnaError('usage', 'an agent serves nothing; services belong to the key of a connector');
};

/** An empty list would make a key that can register nothing; whoever means "any" has to say so. */
const checkNames = (what: string, names: readonly string[] | '*'): void => {
  if (names === '*') return;
  if (names.length === 0) {
    throw new ZtnaError('usage', `name each ${what} the key may register with --${what}, or give --any-${what}`);
  }
  for (const name of names) checkName(what, name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ZtnaError('usage', `${what} ${twice} is named twice`);
};
