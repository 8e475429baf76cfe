// Waits for a condition that no event announces, looking every 10 ms.

import { setTimeout as wait } from 'node:timers/promises';

/** Never rejects: a condition that never holds runs into the test's own timeout. */
export const eventually = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await wait(10);
};
