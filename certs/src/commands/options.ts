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
