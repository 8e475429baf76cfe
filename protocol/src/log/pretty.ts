// One log line for people: `HH:MM:SS LEVEL event key=value…`, local time. Turns one JSON line of
// logger.ts into it. Values may hold what a peer sent, so nothing in them can end the line, move the
// cursor or pass for another key=value pair.

import { escapeText, quoteText } from './escape-text.js';

/** Text that needs no quotes: no space, no `=`, no quote, nothing a terminal interprets. */
const PLAIN = /^[A-Za-z0-9_.:/@+\-[\]*]+$/;
const SHOWN_FIRST = new Set(['time', 'level', 'name', 'event']);

/**
 * Formats one JSON log line, without its newline. Text that is not a JSON object comes back escaped, so
 * a stray line is still shown.
 */
export const formatPretty = (line: string): string => {
  const entry = parseObject(line);
  if (!entry) return escapeText(line.trimEnd());
  const head = [clock(entry['time']), String(entry['level']).toUpperCase().padEnd(5), showWord(entry['event'])];
  const rest = Object.entries(entry)
    .filter(([key]) => !SHOWN_FIRST.has(key))
    .map(([key, value]) => `${showWord(key)}=${showValue(value)}`);
  return [...head, ...rest].join(' ').trimEnd();
};

const parseObject = (line: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

const clock = (time: unknown): string => {
  const date = new Date(typeof time === 'string' ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) return '--:--:--';
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
};

const showWord = (value: unknown): string =>
  typeof value !== 'string' ? '' : PLAIN.test(value) ? value : quoteText(value);

const showValue = (value: unknown): string =>
  typeof value === 'string' ? showWord(value) || '""' : escapeText(JSON.stringify(value));
