// Mints a registration token: one for each registration, by the client. Signs with tweetnacl or HMAC
// through RegistrationKey; the relay's side, verify-token.ts, shares only the encoding.

import { ZtnaError } from '../errors.js';
import { formatIdentity, type Identity } from '../identity.js';
import { MAX_TOKEN_BYTES } from '../wire/control-messages.js';
import type { RegistrationKey } from './registration-key.js';
import { checkClaims, encodeClaims, NONCE_BYTES } from './token-claims.js';
import { concatBytes, encodeUnsignedToken, tokenSignatureInput } from './token-envelope.js';
import { MAX_TOKEN_TTL_SECONDS } from './token-times.js';

export interface TokenRequest {
  /** The client's own, as in its certificate. */
  readonly identity: Identity;
  /** What a connector offers to serve; empty for an agent. */
  readonly services: readonly string[];
  /** The relay's `spiffe://<trust-domain>/relay/<name>`. */
  readonly audience: string;
  /** `tokenBinding` of the certificate this connection shows. */
  readonly binding: Uint8Array;
  /** Seconds; default 60, the most a relay accepts. */
  readonly ttlSeconds?: number;
}

export interface MintSources {
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly now: number;
  /** Cryptographically strong randomness. */
  readonly randomBytes: (length: number) => Uint8Array;
}

/**
 * A token good for one registration at one relay over one certificate, at most `MAX_TOKEN_BYTES` long.
 * Throws `ZtnaError` `config_invalid` when a claim is out of bounds: these come from local configuration.
 */
export const mintToken = (request: TokenRequest, key: RegistrationKey, { now, randomBytes }: MintSources): Uint8Array => {
  const checked = checkClaims({
    issuedAt: Math.floor(now),
    ttlSeconds: request.ttlSeconds ?? MAX_TOKEN_TTL_SECONDS,
    nonce: randomBytes(NONCE_BYTES),
    role: request.identity.role,
    identity: formatIdentity(request.identity),
    services: [...request.services],
    audience: request.audience,
    binding: request.binding,
  });
  if (!checked.ok) throw new ZtnaError('config_invalid', `cannot mint a registration token: ${checked.reason}`);
  const unsigned = encodeUnsignedToken(key.keyId, encodeClaims(checked.claims));
  const token = concatBytes(unsigned, key.sign(tokenSignatureInput(unsigned)));
  if (token.length > MAX_TOKEN_BYTES) {
    throw new ZtnaError('config_invalid', `registration token is ${token.length} bytes; at most ${MAX_TOKEN_BYTES}: offer fewer services`);
  }
  return token;
};
