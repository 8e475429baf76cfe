// Every attack, in the order of the table. Those that wait for a time to pass come last.

import type { Attack } from '../attack.js';
import { cborBombs, endedStreams, neverReads, partialFrames, pingFlood, slowLoris, unknownTypes } from './control.js';
import {
  datagramFlood, deafReceiver, keepaliveFlood, lateDatagrams, malformedDatagrams, neighbourFlood, slotScan, unregisteredDatagrams,
} from './datagrams.js';
import { anonymousFlood, certifiedFlood, foreignFlood, halfHandshakes } from './handshakes.js';
import { borrowedChain, lookalikeCertificates, lookalikeServices, stolenTokens } from './identity.js';
import { edgeSizes, initialFlood, junkFlood, largePackets, shortHeaderFlood, smallInitials, versionLoops } from './junk.js';
import { corruptedPackets, migrationStorm, retireStorm, stolenPackets } from './migration.js';
import { nothing } from './nothing.js';
import {
  connectionIdFlood, cryptoFlood, forgeWorks, fragmentFlood, frameViolations, optimisticAck, pathChallengeFlood, streamFlood,
} from './quic-frames.js';
import { expiredToken, forgedTokens, initialCryptoFlood, noiseBehindToken, oddTokens, replayedTokens } from './retry-tokens.js';
import {
  abandonedSessions, badRegistrations, openFlood, othersHandles, registrationFlood, silentConnector, thousandNames,
} from './sessions.js';

/** Made anew for each suite: some keep what they prepared. */
export const ATTACKS = (): Attack[] => [
  nothing,
  junkFlood, shortHeaderFlood, edgeSizes, largePackets, smallInitials, initialFlood, versionLoops,
  forgedTokens, oddTokens, replayedTokens, noiseBehindToken, initialCryptoFlood,
  borrowedChain, lookalikeCertificates, lookalikeServices, stolenTokens,
  forgeWorks, frameViolations, streamFlood, connectionIdFlood, cryptoFlood, pathChallengeFlood, fragmentFlood, optimisticAck,
  cborBombs, unknownTypes, pingFlood, partialFrames, endedStreams,
  registrationFlood, badRegistrations, openFlood, abandonedSessions, othersHandles, thousandNames,
  malformedDatagrams, unregisteredDatagrams, slotScan, lateDatagrams, datagramFlood, neighbourFlood, deafReceiver, keepaliveFlood,
  migrationStorm, stolenPackets, corruptedPackets, retireStorm,
  anonymousFlood, foreignFlood, certifiedFlood, halfHandshakes,
  silentConnector(), slowLoris(), neverReads(), expiredToken(),
];
