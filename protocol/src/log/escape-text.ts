// Makes text safe to show on a terminal or in a one-line log. Owns which characters are dangerous:
// C0 and C1 controls (ESC and 0x9b start terminal sequences), line and paragraph separators (a forged
// second log line), and bidirectional overrides (text that reads in another order than it runs).

// eslint-disable-next-line no-control-regex -- control characters are the point
const DANGEROUS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

const escapeUnit = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Each dangerous character as `\uXXXX`; everything else, spaces and non-Latin text included, unchanged. */
export const escapeText = (text: string): string => text.replace(DANGEROUS, escapeUnit);

/** `text` in double quotes, as JSON and then as `escapeText`: it can close neither its quotes nor its line. */
export const quoteText = (text: string): string => escapeText(JSON.stringify(text));
