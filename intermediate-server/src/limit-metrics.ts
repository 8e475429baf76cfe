// `ztna_relay_limit_reached_total`: which key of `limits:` holds somebody back, and how often. Owns the names, which are
// the keys as an operator writes them, and where each is counted; deciding and counting are the places that keep the bound.

import type { DatagramCounters, HandshakeCounts, MetricFamily, PacketDropReason, QueueLimitsReached, RelayLimitsReached, SourceLimitsReached, StatelessResets } from '@ztna/protocol';
import { byLabel } from '@ztna/protocol';

export interface LimitSources {
  readonly machine: { readonly counters: Pick<DatagramCounters, 'dropped'>; readonly limitsReached: Readonly<RelayLimitsReached> };
  readonly packetDrops: Readonly<Record<PacketDropReason, number>>;
  readonly handshakes: Readonly<Pick<HandshakeCounts, 'timedOut' | 'timedOutPressed'>>;
  readonly admission: { readonly limitsReached: Readonly<SourceLimitsReached> };
  readonly forwarder: { readonly limitsReached: Readonly<QueueLimitsReached> };
  readonly pauses: { readonly total: number };
  readonly resets: Pick<StatelessResets, 'rateLimited'> | undefined;
  readonly clientLimits: Readonly<ClientLimitsReached>;
  readonly promptsPutOff: number;
}

/** What the driver itself sees of clients beyond a bound. */
export interface ClientLimitsReached {
  /** Connections ended for silence. */
  idleTimeout: number;
  /** Connections closed for packets that brought nothing. */
  unproductiveBytes: number;
}

/** A rate is one limit: its `perSecond` and `burst` hold the same back. */
const COUNTERS = {
  connections: ({ packetDrops }) => packetDrops.too_many_connections,
  'source.handshakes': ({ admission }) => admission.limitsReached.handshakes,
  'source.connections': ({ admission }) => admission.limitsReached.connections,
  'source.remembered': ({ admission }) => admission.limitsReached.sources,
  'source.overflow.handshakes': ({ admission }) => admission.limitsReached.overflowHandshakes,
  'source.overflow.connections': ({ admission }) => admission.limitsReached.overflowConnections,
  'handshake.pending': ({ packetDrops }) => packetDrops.half_open_limit,
  'handshake.timeout': ({ handshakes }) => handshakes.timedOut - handshakes.timedOutPressed,
  'handshake.pressedTimeout': ({ handshakes }) => handshakes.timedOutPressed,
  'handshake.validations': ({ packetDrops }) => packetDrops.address_validation_rate,
  'client.registrations': ({ machine }) => machine.limitsReached.registrations,
  'client.opens': ({ machine }) => machine.limitsReached.opens,
  'client.controlMessages': ({ pauses }) => pauses.total,
  'client.datagrams': ({ machine }) => machine.counters.dropped('datagram_rate'),
  'client.bytes': ({ machine }) => machine.counters.dropped('byte_rate'),
  'client.services': ({ machine }) => machine.limitsReached.servicesPerRegistration,
  'client.failedRegistrations': ({ machine }) => machine.limitsReached.failedRegistrations,
  'client.helloTimeout': ({ machine }) => machine.limitsReached.helloTimeout,
  'client.idleTimeout': ({ clientLimits }) => clientLimits.idleTimeout,
  'client.unproductiveBytes': ({ clientLimits }) => clientLimits.unproductiveBytes,
  'sessions.total': ({ machine }) => machine.limitsReached.sessions,
  'sessions.perAgent': ({ machine }) => machine.limitsReached.sessionsPerAgent,
  'sessions.pendingPerAgent': ({ machine }) => machine.limitsReached.pendingOpensPerAgent,
  'sessions.acceptTimeout': ({ machine }) => machine.limitsReached.acceptTimeout,
  'sessions.connectorsPerOpen': ({ machine }) => machine.limitsReached.connectorsPerOpen,
  'sessions.idleTimeout': ({ machine }) => machine.limitsReached.sessionIdle,
  'queues.datagrams': ({ forwarder }) => forwarder.limitsReached.datagrams,
  'queues.bytes': ({ forwarder }) => forwarder.limitsReached.bytes,
  'queues.total': ({ forwarder, machine }) => forwarder.limitsReached.total + machine.limitsReached.strainedQueues,
  'queues.flows': ({ forwarder }) => forwarder.limitsReached.flows,
  'restart.resets': ({ resets }) => resets?.rateLimited ?? 0,
  'restart.promptsPerSecond': ({ promptsPutOff }) => promptsPutOff,
} as const satisfies Readonly<Record<string, (sources: LimitSources) => number>>;

/** A key below `limits:` of relay.yaml. */
export type LimitName = keyof typeof COUNTERS;
export const LIMIT_NAMES = Object.keys(COUNTERS) as readonly LimitName[];

/** Times that limit held somebody back since the start. */
export const limitReached = (sources: LimitSources, limit: LimitName): number => COUNTERS[limit](sources);

export const limitReachedFamily = (sources: LimitSources): MetricFamily =>
  byLabel(
    {
      type: 'counter',
      name: 'ztna_relay_limit_reached_total',
      help: 'Times a limit held somebody back: refused, dropped, paused, put off or closed',
      label: 'limit',
      set: { values: LIMIT_NAMES, described: '[keys](limits.md) below `limits` of relay.yaml' },
    },
    (limit) => limitReached(sources, limit),
  );
