// The relay's half of the registration keys: which key ids exist, what each may register and when.
// Immutable: a live reload builds a new keyring and swaps the reference, while the replay log
// (replay-log.ts) stays. Owns the keyring file's schema; reading the file is configuration.

import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { isName, NAME_RULE, type Identity, type Role } from '../identity.js';
import { isSmallOrderPoint } from './ed25519-small-order.js';
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
import { keyringCrossFaults } from './keyring-cross-faults.js';

/** Roles that register at a relay. */
export const REGISTERING_ROLES = ['agent', 'connector'] as const satisfies readonly Role[];

/** What tokens of one key may claim. */
export interface KeyScope {
  readonly role: (typeof REGISTERING_ROLES)[number];
  /** Names, not URIs; `*` is every name of the role. */
  readonly identities: ReadonlySet<string> | '*';
  readonly services: ReadonlySet<string> | '*';
}

/** The first claim a key's scope does not cover, for messages. */
export const outsideScope = (
  scope: KeyScope,
  identity: Pick<Identity, 'role' | 'name'>,
  services: Iterable<string>,
): { field: 'role' | 'identity' | 'service'; value: string } | undefined => {
  if (identity.role !== scope.role) return { field: 'role', value: identity.role };
  if (scope.identities !== '*' && !scope.identities.has(identity.name)) return { field: 'identity', value: identity.name };
  for (const value of services) if (scope.services !== '*' && !scope.services.has(value)) return { field: 'service', value };
  return undefined;
};

export const isKeyActive = (key: Pick<KeyringKey, 'notBefore' | 'notAfter'>, now: number): boolean =>
  // Written so that a NaN refuses.
  now >= key.notBefore && now < key.notAfter;

export interface KeyringKey {
  readonly keyId: string;
  readonly algorithm: RegistrationAlgorithm;
  /** Public key or secret; as a KeyObject it shows in no log and is parsed once, not per token. */
  readonly material: KeyObject;
  readonly scope: KeyScope;
  /** Epoch ms, inclusive. */
  readonly notBefore: number;
  /** Epoch ms, exclusive. */
  readonly notAfter: number;
}

/** Several keys at once, so that old and new overlap while clients move from one to the other. */
export class Keyring {
  readonly #keys: ReadonlyMap<string, KeyringKey>;

  constructor(keys: Iterable<KeyringKey>) {
    this.#keys = new Map([...keys].map((key) => [key.keyId, Object.freeze(key)]));
  }

  find(keyId: string): KeyringKey | undefined {
    return this.#keys.get(keyId);
  }

  get keyIds(): string[] {
    return [...this.#keys.keys()];
  }

  /** True when the keyring's file could be used to mint tokens, so nobody but its owner may read it. */
  get holdsSecret(): boolean {
    return [...this.#keys.values()].some((key) => key.algorithm === 'hmac-sha256');
  }
}

/** `'*'` or a list of names; a fault for each bad name. */
const namesOrAll = (atLeast: number) =>
  z.unknown().transform((value, context): ReadonlySet<string> | '*' => {
    if (value === '*') return '*';
    if (!Array.isArray(value) || value.length < atLeast) {
      const message = value === undefined ? 'is required' : `must be '*' or a list of ${atLeast > 0 ? 'at least one name' : 'names'}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    const names: unknown[] = value;
    names.forEach((name, index) => {
      if (typeof name === 'string' && isName(name)) return;
      context.addIssue({ code: 'custom', path: [index], message: `must be a name: ${NAME_RULE}` });
    });
    return new Set(names as string[]);
  });

const instant = z.iso
  .datetime({ offset: true, error: 'must be a date and time with its zone, like 2026-01-31T00:00:00Z' })
  .transform((text) => Date.parse(text));

const publicKey = base64Schema(ED25519_KEY_BYTES, ED25519_KEY_BYTES).refine(
  (bytes) => !isSmallOrderPoint(bytes),
  'is a point of small order: anyone could sign for it; generate a new key',
);

/** `{role, identities, services}` as keyring and key file have it. */
export const keyScopeSchema = z.strictObject({
  role: z.enum(REGISTERING_ROLES, { error: `must be ${REGISTERING_ROLES.join(' or ')}` }),
  identities: namesOrAll(1),
  services: namesOrAll(0),
});

const keyringSchema = z.strictObject({
  keys: z.array(
    z.strictObject({
      keyId: keyIdSchema,
      algorithm: algorithmSchema,
      publicKey: publicKey.optional(),
      secret: base64Schema(MIN_HMAC_SECRET_BYTES, MAX_HMAC_SECRET_BYTES).optional(),
      scope: keyScopeSchema,
      notBefore: instant,
      notAfter: instant,
    }),
  ),
});

const materialOf = (bytes: Uint8Array, algorithm: RegistrationAlgorithm): KeyObject =>
  algorithm === 'ed25519'
    ? createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(bytes).toString('base64url') }, format: 'jwk' })
    : createSecretKey(bytes);

/**
 * Reads `{keys: [{keyId, algorithm, publicKey | secret, scope, notBefore, notAfter}]}` as it comes out
 * of a keyring file. Every fault is reported at once, by key path; no fault repeats a secret.
 * An empty list is valid: nobody may register.
 */
export const parseKeyring = (value: unknown): { ok: true; keyring: Keyring } | { ok: false; faults: KeyFault[] } => {
  const parsed = parseBySchema(keyringSchema, value);
  const faults = [...(parsed.ok ? [] : parsed.faults), ...keyringCrossFaults(value)];
  if (!parsed.ok || faults.length > 0) return { ok: false, faults };
  const keys = parsed.value.keys.map(
    ({ publicKey, secret, ...key }): KeyringKey => ({ ...key, material: materialOf((publicKey ?? secret)!, key.algorithm) }),
  );
  return { ok: true, keyring: new Keyring(keys) };
};
