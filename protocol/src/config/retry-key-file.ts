// The file a fleet of relays shares its Retry keys by (`ztna-certs retry-key`): one line of base64. Owns its form
// and bounds; what is derived from it is quic/retry-keys.ts's.

import { ZtnaError } from '../errors.js';
import { base64Schema } from '../token/key-material.js';
import { readSecretFile } from './secret-file.js';

/** As many as the keys that are derived from it have (RFC 5869 §2.2 asks for no more than the hash's length). */
export const MIN_RETRY_KEY_BYTES = 32;
/** More adds nothing; a certificate or another file named by mistake is longer. */
export const MAX_RETRY_KEY_BYTES = 256;

const keySchema = base64Schema(MIN_RETRY_KEY_BYTES, MAX_RETRY_KEY_BYTES);

/**
 * Reads the key: base64 with padding on one line; white space around it is ignored.
 *
 * @throws ZtnaError `config_invalid` for another content, `key_file_permissions` and `file_unreadable` as `readSecretFile`
 */
export const readRetryKeyFile = (path: string): Buffer => {
  const parsed = keySchema.safeParse(readSecretFile(path).toString('latin1').trim());
  if (parsed.success) return Buffer.from(parsed.data);
  const problem = parsed.error.issues[0]?.message ?? 'is no key';
  throw new ZtnaError('config_invalid', `${path}: ${problem}; make one with: ztna-certs retry-key`);
};

/** The file's content for a key. */
export const formatRetryKeyFile = (key: Uint8Array): string => `${Buffer.from(key).toString('base64')}\n`;
