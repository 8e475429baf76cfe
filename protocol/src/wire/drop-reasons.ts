// Why a datagram was dropped: a closed set, the same word in metrics labels and logs (design §4: every
// datagram received ends as exactly one of forwarded, consumed, dropped{reason}). Owns the names and
// their meanings; who counts what is the driver's.

/** Every reason, with one sentence for dashboards, without a full stop. */
export const DROP_REASONS = {
  header_too_short: 'fewer bytes than the 16-byte header',
  bad_magic: 'the first four bytes are not ZTNA_MAGIC',
  bad_version: 'a header version this side does not speak',
  bad_type: 'a datagram type this side does not know',
  reserved_bits_set: 'the reserved field is not zero',
  slot_unknown: 'the slot is not in use',
  not_owner: 'the session behind the slot belongs to another connection',
  tag_mismatch: 'the tag is not the one of the session in that slot',
  too_large: "larger than the peer's path carries; never truncated",
  peer_queue_full: "the peer's bounded queue is full",
  peer_gone: "the session's other side has disconnected",
  not_registered: 'the connection has not registered yet',
  datagram_rate: 'more datagrams a second than one connection may send',
  byte_rate: 'more bytes a second than one connection may send',
  queue_delay: "waited too long in the peer's queue",
  queue_budget: 'pushed out because all queues together hold as much as they may',
} as const;

export type DropReason = keyof typeof DROP_REASONS;

/** All names, so that a counter can show every label at zero from the start. */
export const DROP_REASON_NAMES = Object.keys(DROP_REASONS) as readonly DropReason[];
