// Equality of decoded values. −0 counts as 0: no message has a use for it, and cbor-x writes it as 0.

import { isDeepStrictEqual } from 'node:util';

export const sameValue = (left: unknown, right: unknown): boolean => isDeepStrictEqual(positive(left), positive(right));

const positive = (value: unknown): unknown => {
  if (typeof value === 'number') return value === 0 ? 0 : value;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(positive);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, positive(item)]));
};
