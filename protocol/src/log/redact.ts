// What may enter a log line. Defence in depth: callers do not log secrets in the first place.
// Owns which key names are secret and how deep and long a logged value may be; the line itself is
// logger.ts and pretty.ts.

/** Deeper than any field we log; stops cycles. */
const MAX_DEPTH = 5;
/** A token is about 400 bytes and a code's meaning under 100; a peer's text must not fill the disk. */
const MAX_TEXT = 1024;
const MAX_ENTRIES = 64;
const REDACTED = '[redacted]';

const SECRET_NAME = /secret|token|private|passw|passphrase|credential|authorization|cookie|^seed$|^key$|[_-]key$/i;
/** Camel case, so that `signingKey` is one and `monkey` is not. */
const CAMEL_CASE_KEY = /[a-z0-9]Key$/;
/** Names the rules above would catch although they are public. */
const PUBLIC_NAME = /^public[_-]?key$/i;
const PRIVATE_KEY_PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** Whether a value under this key name is never shown: `key`, `secret`, `token`, `privateKey`, `password` and the like; `keyId` is fine. */
export const isSecretName = (name: string): boolean => (SECRET_NAME.test(name) || CAMEL_CASE_KEY.test(name)) && !PUBLIC_NAME.test(name);

/**
 * A copy of `value` fit for a log: secrets by key name and private-key PEM replaced, bytes as their
 * length, errors as `{code, message, cause}`, text cut at 1024 characters, nesting at 5 levels.
 */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `<${value.byteLength} bytes>`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (depth >= MAX_DEPTH) return '[nested]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Map) return redact(Object.fromEntries(value), depth);
  if (Array.isArray(value) || value instanceof Set) return [...value].slice(0, MAX_ENTRIES).map((item) => redact(item, depth + 1));
  return redactEntries(value, depth);
};

const redactText = (text: string): string => {
  if (PRIVATE_KEY_PEM.test(text)) return REDACTED;
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`;
};

const redactEntries = (value: object, depth: number): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ENTRIES)
      .map(([key, item]) => [key, isSecretName(key) && canBeSecret(item) ? REDACTED : redact(item, depth + 1)]),
  );

/** Numbers and booleans are counters such as `retry_token_invalid`: no secret of ours is one. */
const canBeSecret = (item: unknown): boolean => item !== undefined && typeof item !== 'number' && typeof item !== 'boolean';

const redactError = (error: Error, depth: number): Record<string, unknown> => ({
  ...('code' in error ? { code: redact(error.code, depth + 1) } : {}),
  message: redactText(error.message),
  ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
});
