// The relay's metrics: one short list per component, read from the counters it keeps anyway. A component that
// gains a counter adds its family to its list, and a row to docs/metrics.md.

import {
  byLabel,
  DROP_REASON_NAMES,
  failureFamily,
  OUTCOMES,
  outcomeFamily,
  PACKET_DROP_REASONS,
  processCpuSeconds,
  single,
  type DatagramCounters,
  type MetricFamily,
  type OutcomeCounter,
  type PacketDropReason,
  type RelayMachine,
  type RelayStats,
  type LiveReload,
  type ReloadableSettings,
  type SourceAdmission,
  type StatelessResets,
} from '@ztna/protocol';
import { limitReachedFamily, type LimitSources } from './limit-metrics.js';
import { ENDED_BY, type EndedBy, type RelayOutcomes } from './relay-outcomes.js';

export interface RelayMetricsSources {
  readonly server: LimitSources & {
    readonly machine: Pick<RelayMachine, 'counters' | 'stats'>;
    readonly packetDrops: Readonly<Record<PacketDropReason, number>>;
    readonly admission: Pick<SourceAdmission, 'sourcesTracked' | 'overflowConnections'>;
    readonly forwarder: { readonly waitingBytes: number };
    readonly pauses: { readonly size: number };
    readonly resets: Pick<StatelessResets, 'sent' | 'rateLimited'> | undefined;
    readonly outcomes: RelayOutcomes;
    readonly authorities: { readonly revocations: { readonly size: number } };
  };
  /** Undefined: none is kept. */
  readonly journal?: { readonly leftOut: number } | undefined;
  readonly reload: Pick<LiveReload<ReloadableSettings>, 'applied' | 'refused' | 'outdated' | 'ageSeconds'>;
}

export const relayMetrics = ({ server, journal, reload }: RelayMetricsSources): readonly MetricFamily[] => [
  ...datagramMetrics(server.machine.counters),
  ...packetMetrics(server),
  ...limitMetrics(server, journal),
  ...populationMetrics(() => server.machine.stats()),
  ...outcomeMetrics(server.outcomes),
  ...reloadMetrics(server, reload),
];

const datagramMetrics = (counters: DatagramCounters): MetricFamily[] => [
  single('counter', 'ztna_relay_datagrams_received_total', 'Relayed datagrams that clients sent', () => counters.received),
  single('counter', 'ztna_relay_datagrams_forwarded_total', "Datagrams handed to the other side's connection", () => counters.forwarded),
  single('counter', 'ztna_relay_datagrams_consumed_total', 'Datagrams meant for the relay itself, such as keepalives', () => counters.consumed),
  byLabel(
    {
      type: 'counter',
      name: 'ztna_relay_datagrams_dropped_total',
      help: 'Datagrams dropped',
      label: 'reason',
      set: { values: DROP_REASON_NAMES, described: '[drop reasons](wire-format.md#drop-reasons)' },
    },
    (reason) => counters.dropped(reason),
  ),
  single('gauge', 'ztna_relay_datagrams_queued', 'Datagrams received and not yet forwarded, consumed or dropped: the depth of all queues', () => {
    const { received, forwarded, consumed } = counters;
    return DROP_REASON_NAMES.reduce((left, reason) => left - counters.dropped(reason), received - forwarded - consumed);
  }),
  single(
    'gauge',
    'ztna_relay_cpu_seconds_per_datagram',
    "The process's CPU time over the datagrams it received, both since the start; 0 before the first",
    () => (counters.received === 0 ? 0 : processCpuSeconds() / counters.received),
  ),
];

const packetMetrics = (server: Pick<RelayMetricsSources['server'], 'packetDrops'>): MetricFamily[] => [
  byLabel(
    {
      type: 'counter',
      name: 'ztna_relay_packets_dropped_total',
      help: 'UDP packets that never reached a connection',
      label: 'reason',
      set: { values: PACKET_DROP_REASONS, described: '[packet drop reasons](architecture.md#the-walk-of-a-datagram)' },
    },
    (reason) => server.packetDrops[reason],
  ),
];

const limitMetrics = (server: RelayMetricsSources['server'], journal: RelayMetricsSources['journal']): MetricFamily[] => [
  limitReachedFamily(server),
  single('gauge', 'ztna_relay_queue_bytes', 'Memory of the datagrams that wait in all queues', () => server.forwarder.waitingBytes),
  single('gauge', 'ztna_relay_sources_tracked', 'Source addresses whose handshakes or connections are counted now', () => server.admission.sourcesTracked),
  single('gauge', 'ztna_relay_sources_overflow_connections', 'Connections of sources that found the table of sources full', () => server.admission.overflowConnections),
  single('gauge', 'ztna_relay_clients_paused', 'Clients whose control stream is left unread for a moment, for sending faster than allowed', () => server.pauses.size),
  single('counter', 'ztna_relay_stateless_resets_total', 'Stateless resets sent to peers of connections from before a restart', () => server.resets?.sent ?? 0),
  single('counter', 'ztna_relay_stateless_resets_limited_total', 'Stateless resets not sent, for their rate', () => server.resets?.rateLimited ?? 0),
  single('counter', 'ztna_relay_journal_left_out_total', 'Clients not written down for a restart, the journal being full', () => journal?.leftOut ?? 0),
];

const populationMetrics = (stats: () => RelayStats): MetricFamily[] => [
  single('gauge', 'ztna_relay_connections', 'Clients connected, their handshake complete', () => stats().connections),
  single('gauge', 'ztna_relay_identities', 'Distinct identities connected', () => stats().identities),
  single('gauge', 'ztna_relay_connectors_registered', 'Connectors registered', () => stats().registeredConnectors),
  single('gauge', 'ztna_relay_services_registered', 'Services that at least one connector serves', () => stats().services),
  single('gauge', 'ztna_relay_sessions', 'Sessions, those that wait for a connector included', () => stats().sessions),
  single('gauge', 'ztna_relay_sessions_pending', 'Sessions that wait for a connector to accept', () => stats().pendingSessions),
];

const outcomeMetrics = (outcomes: RelayOutcomes): MetricFamily[] => [
  single('gauge', 'ztna_relay_handshakes_under_way', 'Handshakes begun by validated addresses and not yet over', () => outcomes.handshakesUnderWay),
  outcomeFamily('ztna_relay_handshakes_total', 'Handshakes that ended', outcomes.handshakes),
  outcomeFamily('ztna_relay_registrations_total', 'Registrations answered', outcomes.registrations),
  outcomeFamily('ztna_relay_session_opens_total', 'Opens answered', outcomes.opens),
  outcomeFamily('ztna_relay_sessions_closed_total', 'Sessions that were open and ended', outcomes.sessionEnds),
  failureFamily('ztna_relay_rights_withdrawn_total', 'Clients disconnected because what their connection rested on is gone', outcomes.withdrawals),
  failureFamily('ztna_relay_control_faults_total', 'Bytes on control streams that were no message', outcomes.controlFaults),
  failureFamily('ztna_relay_messages_refused_total', 'Control messages that were well-formed and not acted on', outcomes.messageRefusals),
  failureFamily('ztna_relay_session_failovers_total', 'Connectors that did not take a session, when another was asked', outcomes.failovers),
  connectionEndFamily(outcomes.connectionEnds),
  {
    type: 'histogram',
    name: 'ztna_relay_revocation_seconds',
    help: 'From the change of the deny list to the end of the last connection of those it revoked',
    read: (emit) => emit(outcomes.revocation),
  },
];

const connectionEndFamily = (ends: Readonly<Record<EndedBy, OutcomeCounter>>): MetricFamily => ({
  type: 'counter',
  name: 'ztna_relay_connections_ended_total',
  help: 'Connections that ended after their handshake, by who ended them and why',
  labels: { by: { values: ENDED_BY }, code: OUTCOMES },
  read: (emit) => {
    for (const by of ENDED_BY)
      for (const code of OUTCOMES.values) {
        const total = ends[by].of(code);
        if (total > 0) emit(total, { by, code });
      }
  },
});

const reloadMetrics = (server: Pick<RelayMetricsSources['server'], 'authorities'>, reload: RelayMetricsSources['reload']): MetricFamily[] => [
  byLabel(
    { type: 'counter', name: 'ztna_relay_reloads_total', help: 'Times that changed files were read', label: 'result', set: { values: ['applied', 'refused'] as const } },
    (result) => reload[result],
  ),
  single('gauge', 'ztna_relay_reload_outdated', '1 while the files as they are now do not load, and those read before are in force', () => (reload.outdated ? 1 : 0)),
  single('gauge', 'ztna_relay_reload_age_seconds', 'Since the files in force were read', () => reload.ageSeconds),
  single('gauge', 'ztna_relay_deny_list_entries', 'Serial numbers and identities on the deny list', () => server.authorities.revocations.size),
];
