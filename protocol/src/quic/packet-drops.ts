// Why a packet never reached a connection: the closed set, and its counters.

export const PACKET_DROP_REASONS = [
  'not_quic',
  'unknown_connection',
  'initial_too_small',
  'long_header_malformed',
  'address_validation_rate',
  'retry_token_invalid',
  'half_open_limit',
  'source_handshake_rate',
  'source_connections',
  'too_many_connections',
  'path_refused',
  'address_check_invalid',
  'rejected',
] as const;

/** Also the counter's name. */
export type PacketDropReason = (typeof PACKET_DROP_REASONS)[number];

export type PacketDrops = Record<PacketDropReason, number>;

export const createPacketDrops = (): PacketDrops =>
  Object.fromEntries(PACKET_DROP_REASONS.map((reason) => [reason, 0])) as PacketDrops;
