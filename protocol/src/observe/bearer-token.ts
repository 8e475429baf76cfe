// The token a scraper shows as `Authorization: Bearer …` (RFC 6750 §2.1). Owns its form and the comparison;
// the file it stands in is config/secret-file.ts's.

import { createHash, timingSafeEqual } from 'node:crypto';
import { readSecretFile } from '../config/secret-file.js';
import { ZtnaError } from '../errors.js';

/** Sixteen characters of base64 are 96 bits, out of reach of guessing over a network. */
export const MIN_BEARER_TOKEN_LENGTH = 16;
export const MAX_BEARER_TOKEN_LENGTH = 512;
/** RFC 6750 §2.1 b64token. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

export class BearerToken {
  readonly #digest: Buffer;

  /** @throws RangeError unless `isBearerToken` */
  constructor(token: string) {
    if (!isBearerToken(token)) throw new RangeError('not a bearer token');
    this.#digest = digest(token);
  }

  /** Takes as long whatever the header holds: digests are compared, in constant time. */
  matches(authorization = ''): boolean {
    const at = authorization.indexOf(' ') + 1;
    const isSame = timingSafeEqual(digest(authorization.slice(at)), this.#digest);
    return isSame && authorization.slice(0, at).toLowerCase() === 'bearer ';
  }
}

export const isBearerToken = (text: string): boolean =>
  text.length >= MIN_BEARER_TOKEN_LENGTH && text.length <= MAX_BEARER_TOKEN_LENGTH && TOKEN.test(text);

/**
 * The token in a file of one line.
 *
 * @throws ZtnaError `config_invalid` when it is none; `key_file_permissions` and `file_unreadable` as `readSecretFile`
 */
export const readBearerToken = (path: string): string => {
  const token = readSecretFile(path).toString('latin1').replace(/\r?\n$/, '');
  if (isBearerToken(token)) return token;
  const allowed = `${MIN_BEARER_TOKEN_LENGTH} to ${MAX_BEARER_TOKEN_LENGTH} of A-Z, a-z, 0-9 and -._~+/`;
  throw new ZtnaError('config_invalid', `${path} must hold a token on one line, ${allowed}; make one with: openssl rand -base64 32`);
};

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
