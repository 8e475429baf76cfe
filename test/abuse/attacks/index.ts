// Every attack, in the order of the table. Those that wait for a time to pass come last.

import type { Attack } from '../attack.js';
import { edgeSizes, initialFlood, junkFlood, largePackets, shortHeaderFlood, smallInitials, versionLoops } from './junk.js';

/** Made anew for each suite: some keep what they prepared. */
export const ATTACKS = (): Attack[] => [junkFlood, shortHeaderFlood, edgeSizes, largePackets, smallInitials, initialFlood, versionLoops];
