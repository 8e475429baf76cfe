// Time limits on a machine that does other work as well: a process that gets a ninth of a core takes nine times as long.

import { availableParallelism, loadavg } from 'node:os';

/** `ms` on a machine of one's own; in proportion more where more processes want to run than there are cores. */
export const scaledByLoad = (ms: number): number => ms * Math.max(1, loadavg()[0]! / availableParallelism());
