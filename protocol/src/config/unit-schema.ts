// Durations and sizes with their unit, as in `30s` and `64KiB`. A bare number is refused for a
// duration: nobody can tell seconds from milliseconds by looking at it.

import { z } from 'zod';

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Node fires a timer longer than this at once (2^31 − 1 ms, 24.8 days). */
export const MAX_DURATION_MS = 0x7fff_ffff;
const BYTES: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

const DURATION_RULE = 'must be a duration from 1ms to 24d with a unit of ms, s, m, h or d, such as 250ms, 30s or 5m';
const SIZE_RULE = 'must be a size of 1 byte or more: a whole number of bytes, or one with B, KiB, MiB or GiB, such as 64KiB';

/** `250ms`, `30s`, `1.5m`, `2h`, `1d` → whole milliseconds, 1 to 2^31 − 1. */
export const durationMs = z.string({ error: DURATION_RULE }).transform((text, context): number => {
  const value = Math.round(measure(text, MILLISECONDS));
  if (value >= 1 && value <= MAX_DURATION_MS) return value;
  context.addIssue({ code: 'custom', message: DURATION_RULE });
  return z.NEVER;
});

/** `1350`, `512B`, `64KiB`, `4MiB`, `1GiB` → bytes. `KB` is refused: people read it both ways. */
export const byteSize = z.union([z.int(), z.string()], { error: SIZE_RULE }).transform((input, context): number => {
  const value = typeof input === 'number' ? input : measure(input, BYTES);
  if (value >= 1 && Number.isSafeInteger(value)) return value;
  context.addIssue({ code: 'custom', message: SIZE_RULE });
  return z.NEVER;
});

/** NaN when the text is not a decimal number and one of the units. */
const measure = (text: string, units: Record<string, number>): number => {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([A-Za-z]+)$/.exec(text);
  const unit = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined;
  return unit === undefined ? Number.NaN : Number(match![1]) * unit;
};
