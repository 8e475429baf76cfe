// Options several commands share, and the one way commands talk to people.

import { ZtnaError } from '@ztna/protocol';

/** For commander: gathers a repeated option. */
export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

/** For commander: a whole number; its bounds are checked where it is used. */
export const parseDays = (text: string): number => {
  if (!/^\d{1,6}$/.test(text)) throw new ZtnaError('usage', `--days is ${JSON.stringify(text)}; write a whole number`);
  return Number(text);
};

export const print = (text: string): void => {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
};

const PERIOD_HOURS: Readonly<Record<string, number>> = { h: 1, d: 24, w: 168 };

/** For commander: `30d`, `12h`, `2w` → milliseconds. */
export const parsePeriod = (text: string): number => {
  const match = /^(\d{1,5})([hdw])$/.exec(text);
  if (!match) throw new ZtnaError('usage', `${JSON.stringify(text)} is not a period; write a whole number of hours, days or weeks, such as 12h, 30d or 2w`);
  return Number(match[1]) * PERIOD_HOURS[match[2]!]! * 3_600_000;
};
