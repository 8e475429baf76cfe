// The client's half of a registration key: holds the secret and signs with it. Owns the key file's
// schema; reading the file and its permissions is configuration. The relay's half is keyring.ts.

import { createHmac, timingSafeEqual } from 'node:crypto';
import nacl from 'tweetnacl';
import { z } from 'zod';
import {
  algorithmSchema,
  base64Schema,
  ED25519_KEY_BYTES,
  keyIdSchema,
  MAX_HMAC_SECRET_BYTES,
  MIN_HMAC_SECRET_BYTES,
  parseBySchema,
  type KeyFault,
  type RegistrationAlgorithm,
} from './key-material.js';
import { keyScopeSchema, type KeyScope } from './keyring.js';

/** A key that signs registration tokens. Its secret shows in no log, JSON or inspection. */
export class RegistrationKey {
  readonly keyId: string;
  readonly algorithm: RegistrationAlgorithm;
  /** What the key was made for, where its file says so: for early warnings, as the relay's keyring decides. */
  readonly scope: KeyScope | undefined;
  /** Ed25519: the 64-byte expanded key (seed, then public key). HMAC: the secret as given. */
  readonly #secret: Uint8Array;

  /** @param secret the 32-byte seed (ed25519), or at least 32 random bytes (hmac-sha256). Checked by `parseRegistrationKey`. */
  constructor(keyId: string, algorithm: RegistrationAlgorithm, secret: Uint8Array, scope?: KeyScope) {
    this.keyId = keyId;
    this.scope = scope;
    this.algorithm = algorithm;
    this.#secret = algorithm === 'ed25519' ? nacl.sign.keyPair.fromSeed(secret).secretKey : Uint8Array.from(secret);
  }

  /** Whether it is the same key; takes as long for any two of one length. */
  equals(other: RegistrationKey): boolean {
    const isAlike = this.keyId === other.keyId && this.algorithm === other.algorithm && this.#secret.length === other.#secret.length;
    return isAlike && timingSafeEqual(this.#secret, other.#secret);
  }

  /** The signature, `SIGNATURE_BYTES[algorithm]` long. Deterministic for both algorithms. */
  sign(message: Uint8Array): Uint8Array {
    return this.algorithm === 'ed25519'
      ? nacl.sign.detached(message, this.#secret)
      : createHmac('sha256', this.#secret).update(message).digest();
  }
}

const fileSchema = z.strictObject({
  keyId: keyIdSchema,
  algorithm: algorithmSchema,
  secret: base64Schema(MIN_HMAC_SECRET_BYTES, MAX_HMAC_SECRET_BYTES),
  scope: keyScopeSchema.optional(),
});

/**
 * Reads `{keyId, algorithm, secret, scope}` as it comes out of a key file, `secret` in base64.
 * Every fault is reported at once; no fault repeats any of the secret.
 */
export const parseRegistrationKey = (
  value: unknown,
): { ok: true; key: RegistrationKey } | { ok: false; faults: KeyFault[] } => {
  const parsed = parseBySchema(fileSchema, value);
  if (!parsed.ok) return parsed;
  const { keyId, algorithm, secret, scope } = parsed.value;
  if (algorithm === 'ed25519' && secret.length !== ED25519_KEY_BYTES) {
    const message = `holds ${secret.length} bytes; an Ed25519 seed holds exactly ${ED25519_KEY_BYTES}`;
    return { ok: false, faults: [{ path: 'secret', message }] };
  }
  return { ok: true, key: new RegistrationKey(keyId, algorithm, secret, scope) };
};
