// What registration keys are made of, on either side: algorithms, key ids, strict base64, and turning
// schema issues into faults by key path. Owns no secret: registration-key.ts signs with one,
// keyring.ts verifies with its counterpart.

import { z } from 'zod';

/** Ed25519 (RFC 8032) or HMAC-SHA256 (RFC 2104). Chosen by the key's owner, never by the wire. */
export const REGISTRATION_ALGORITHMS = ['ed25519', 'hmac-sha256'] as const;
export type RegistrationAlgorithm = (typeof REGISTRATION_ALGORITHMS)[number];

/** Bytes a signature takes. The two differ, so one can never be read as the other. */
export const SIGNATURE_BYTES: Readonly<Record<RegistrationAlgorithm, number>> = { ed25519: 64, 'hmac-sha256': 32 };

/** RFC 8032 §5.1.5: seed and public key alike. */
export const ED25519_KEY_BYTES = 32;
/** RFC 2104 §3: a key shorter than the hash output weakens the MAC. */
export const MIN_HMAC_SECRET_BYTES = 32;
/** Beyond SHA-256's 64-byte block a longer secret is hashed first and adds nothing; room for odd generators. */
export const MAX_HMAC_SECRET_BYTES = 256;

/** Printable ASCII without spaces or quotes: goes into logs and messages as it is. */
const keyIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const KEY_ID_RULE = '1 to 64 of A-Z, a-z, 0-9, dot, underscore and hyphen, starting with a letter or digit';
export const isKeyId = (text: string): boolean => keyIdPattern.test(text);

/** One thing wrong with a key file or keyring: where, by key path (`keys[0].scope.role`), and what. Never a secret. */
export interface KeyFault {
  readonly path: string;
  readonly message: string;
}

export const keyIdSchema = z.string().refine(isKeyId, `must be ${KEY_ID_RULE}`);
export const algorithmSchema = z.enum(REGISTRATION_ALGORITHMS, { error: `must be ${REGISTRATION_ALGORITHMS.join(' or ')}` });

/** RFC 4648 §4 with padding, of `min` to `max` bytes; other spellings of the same bytes are refused. */
export const base64Schema = (min: number, max: number) =>
  z.string({ error: 'must be base64 text' }).transform((text, context): Uint8Array => {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) {
      context.addIssue({ code: 'custom', message: 'must be base64 with padding, without spaces or line breaks' });
      return z.NEVER;
    }
    if (bytes.length < min || bytes.length > max) {
      const bound = min === max ? `exactly ${min}` : `${min} to ${max}`;
      context.addIssue({ code: 'custom', message: `holds ${bytes.length} bytes; must hold ${bound}` });
      return z.NEVER;
    }
    return new Uint8Array(bytes);
  });

/** Longer names, or with other characters, may be `secret VALUE` where a colon was forgotten. */
const SHOWN_KEY = /^[A-Za-z][A-Za-z0-9_-]{0,19}$/;

const unknownKey = (path: readonly PropertyKey[], key: string): KeyFault =>
  SHOWN_KEY.test(key)
    ? { path: z.core.toDotPath([...path, key]), message: 'unknown key' }
    : { path: z.core.toDotPath([...path]), message: 'has an unknown key, not shown as it may hold a secret: is a colon missing?' };

/** Parses by schema; on failure every fault, an unknown key as a fault of its own. */
export const parseBySchema = <T>(
  schema: z.ZodType<T>,
  value: unknown,
): { ok: true; value: T } | { ok: false; faults: KeyFault[] } => {
  const result = schema.safeParse(value, { error: (issue) => (issue.input === undefined ? 'is required' : undefined) });
  if (result.success) return { ok: true, value: result.data };
  const faults = result.error.issues.flatMap((issue): KeyFault[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => unknownKey(issue.path, key))
      : [{ path: z.core.toDotPath(issue.path), message: issue.message }],
  );
  return { ok: false, faults };
};
