// How long certificates and keys live: defaults, clock-skew allowance, and reading days and instants typed by people.

import { ZtnaError } from '@ztna/protocol';

export const DAY_MS = 86_400_000;
/** Ten years: replacing a pinned CA means touching every machine. */
export const DEFAULT_AUTHORITY_DAYS = 3650;
/** A quarter: short enough that a lost laptop's certificate dies by itself, long enough to renew by hand. */
export const DEFAULT_CERTIFICATE_DAYS = 90;
/** A year. Rotation needs no downtime, since several keys may be active at once. */
export const DEFAULT_REGISTRATION_KEY_DAYS = 365;
/** A century; keeps every date within four-digit years. */
export const MAX_DAYS = 36_500;
/** notBefore lies this far in the past, so that a machine whose clock is behind accepts a new certificate. */
export const CLOCK_SKEW_MS = 5 * 60_000;

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * From five minutes ago until `days` from `now`.
 * @throws ZtnaError `usage` unless days is a whole number from 1 to MAX_DAYS
 */
export const validityFrom = (now: Date, days: number): Validity => {
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
    throw new ZtnaError('usage', `days is ${days}; it must be a whole number from 1 to ${MAX_DAYS}`);
  }
  return { notBefore: new Date(now.getTime() - CLOCK_SKEW_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
};

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/**
 * Reads `2026-01-31` (midnight UTC) or `2026-01-31T12:00:00Z`; a time of day needs its zone.
 * @throws ZtnaError `usage` for anything else, or a day that does not exist
 */
export const parseInstant = (text: string, option: string): Date => {
  const match = INSTANT.exec(text);
  const date = new Date(text);
  // Date rolls 31 February over into March; such a day is a typing error.
  const dayExists = match && new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]))).getUTCDate() === Number(match[3]);
  if (!dayExists || Number.isNaN(date.getTime())) {
    throw new ZtnaError('usage', `${option} is ${JSON.stringify(text)}; write a date or an instant with its zone, such as 2026-01-31 or 2026-01-31T12:00:00Z`);
  }
  return date;
};

/** `2026-01-31 12:00:00 UTC` */
export const formatInstant = (date: Date): string => date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC');
