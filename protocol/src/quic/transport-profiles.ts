// The transport parameters of the two layers, each with its reason. Design §3 and §6. Both have BBR: with quiche's
// CUBIC and Reno the round trip it believes in runs away on thin traffic after a few losses (docs/adr/0016).

import { MAX_INNER_PACKET_BYTES, OUTER_UDP_PAYLOAD_BYTES } from '../wire/datagram-sizes.js';
import type { QuicConfigInit } from './port.js';

type Profile = Omit<QuicConfigInit, 'caPem' | 'certificatePem' | 'keyPem'>;

export const OUTER_ALPN = 'ztna-v1';
export const INNER_ALPN = 'ztna-e2e-v1';

export const OUTER_IDLE_MS = 30_000;
export const INNER_IDLE_MS = 60_000;

/** When, after a move to another path, losses on the old one are looked for: several times, as a busy relay may hold packets for long. */
export const MOVE_CHECKS_MS: readonly number[] = [50, 200, 500, 1_000, 1_500];

/**
 * No window of the connection as a whole, only those of its streams: quiche 0.18 can stop for good on it once a MAX_DATA was lost (a
 * stream each way at 1 % loss stood still within some MiB; test/quic/rebinding-under-load.test.ts).
 */
export const NO_CONNECTION_WINDOW = 2 ** 50;

/** Control messages only: one frame of 64 KiB may be in flight, no more. The one stream's window is the connection's. */
export const OUTER_PROFILE: Profile = {
  alpn: OUTER_ALPN,
  idleTimeoutMs: OUTER_IDLE_MS,
  maxUdpPayload: OUTER_UDP_PAYLOAD_BYTES,
  streamWindow: 128 * 1024,
  connectionWindow: NO_CONNECTION_WINDOW,
  maxStreams: 1,
  noteWindow: 0,
  datagramQueue: 4096,
  congestionControl: 'bbr',
};

/**
 * A stalled reader holds at most one stream window, 2 MiB: 160 Mbit/s at 100 ms. The connection as a
 * whole has no window of its own: bytes that a stalled or aborted flow left unread would count against
 * it for good (quiche 0.18 never credits them), and a few such flows would stop all the others. What a
 * side holds is so bounded by streams × stream window, and in practice by how many stall at once.
 */
export const INNER_PROFILE: Profile = {
  alpn: INNER_ALPN,
  idleTimeoutMs: INNER_IDLE_MS,
  maxUdpPayload: MAX_INNER_PACKET_BYTES,
  streamWindow: 2 * 1024 * 1024,
  connectionWindow: NO_CONNECTION_WINDOW,
  // Twice the flows an agent may have (app-connector/src/flow-quota.ts): quiche 0.18 never sends a lost MAX_STREAMS again, and
  // what the last ones of a burst gave is missing at the agent until the next stream ends (test/quic/lost-credit.test.ts).
  maxStreams: 2048,
  // A note for each of 2048 streams: at most 8 bytes of id and 2 of code.
  noteWindow: 20 * 1024,
  datagramQueue: 1024,
  congestionControl: 'bbr',
};
