// How much fits where, with the arithmetic (design §3 "Sizes"; summed term by term in docs/wire-format.md).
// Owns the numbers both QUIC layers are configured with; measuring a path is QUIC's.

import { HEADER_BYTES } from './datagram-header.js';

/** Largest UDP payload of the outer connection: fits 1500-byte Ethernet under IPv6, UDP and common tunnels. */
export const OUTER_UDP_PAYLOAD_BYTES = 1350;

/** 1 flags + 20 connection id + 4 packet number + 16 AEAD tag + 3 DATAGRAM frame (type, 2-byte length; RFC 9221 §4). */
export const QUIC_DATAGRAM_OVERHEAD_BYTES = 44;

/** Capacity of one outer QUIC DATAGRAM, as measured: 1350 − 44 = 1306. */
export const OUTER_DATAGRAM_BYTES = OUTER_UDP_PAYLOAD_BYTES - QUIC_DATAGRAM_OVERHEAD_BYTES;

/** What is left for an inner packet is 1306 − 16 = 1290; the inner connection stops at 1280, the IPv6 minimum MTU. */
export const MAX_INNER_PACKET_BYTES = 1280;

/** RFC 9000 §14: QUIC does not run over paths that carry less. */
export const MIN_INNER_PACKET_BYTES = 1200;

/** A relayed datagram as the outer connection carries it: 16 + 1280 = 1296 ≤ 1306. */
export const MAX_RELAYED_DATAGRAM_BYTES = HEADER_BYTES + MAX_INNER_PACKET_BYTES;
