// `limits:` of relay.yaml: every bound an operator may move, and what it means to the code that keeps it.
// Owns names, ranges and defaults' places; each default and its arithmetic stand where the bound is kept.

import {
  byteSize,
  DEFAULT_ADDRESS_VALIDATIONS,
  DEFAULT_CONNECTION_RATES,
  DEFAULT_FAIR_QUEUE_LIMITS,
  DEFAULT_HALF_OPEN_LIMITS,
  DEFAULT_QUEUE_BUDGET,
  DEFAULT_RELAY_LIMITS,
  DEFAULT_RESET_RATE,
  DEFAULT_SOURCE_LIMITS,
  durationMs,
  MAX_IDLE_BYTES,
  MAX_SERVICES_PER_REGISTRATION,
  OUTER_IDLE_MS,
  type ConnectionRates,
  type FairQueueLimits,
  type HalfOpenLimits,
  type QueueBudgetLimits,
  type Rate,
  type RelayLimits,
  type SourceLimits,
} from '@ztna/protocol';
import { z } from 'zod';
import { PROMPTS_PER_SECOND } from './return-prompts.js';

/** Connections at a time, handshakes under way included; at 41 KB each (measured) half a gigabyte. */
export const MAX_CONNECTIONS = 12_000;
/** Clients ping every 10 s and expect an answer within 5: less, and one lost packet would end a connection. */
const MIN_IDLE_MS = 15_000;
/** QUIC takes the lesser of both sides' (RFC 9000 §10.1), and clients announce this most. */
const IDLE_RULE = `must be from ${MIN_IDLE_MS / 1000}s (clients ping every 10s) to ${OUTER_IDLE_MS / 1000}s (what clients announce)`;
/** An agent with flows sends in each session every 20 s (the inner pings): what stays below three of them would end sessions in use. */
const MIN_SESSION_IDLE_MS = 60_000;
const SESSION_IDLE_RULE = `must be ${MIN_SESSION_IDLE_MS / 1000}s or more (agents ping sessions in use every 20s)`;
/** Moves of a client, lost messages sent again: less, and honest clients would be cut off. */
const MIN_UNPRODUCTIVE_BYTES = 65_536;
/** A queue that does not take one full datagram takes none. */
const MIN_QUEUE_BYTES = 2048;
/** So many rates and counts that a mistyped digit is still a number the code can hold. */
const MAX_COUNT = 1_000_000_000;

/** What the relay keeps to; the parts are named for the code that keeps them. */
export interface RelayServerLimits {
  readonly maxConnections: number;
  readonly sources: SourceLimits;
  readonly halfOpen: HalfOpenLimits;
  readonly validations: Rate;
  readonly rates: ConnectionRates;
  readonly machine: RelayLimits;
  readonly queue: FairQueueLimits;
  readonly budget: QueueBudgetLimits;
  /** Bytes of one client's packets that brought nothing; see `MAX_IDLE_BYTES`. */
  readonly idleBytes: number;
  /** Answers to clients of an earlier run. */
  readonly resets: Rate;
  /** Clients of an earlier run told per second to come back. */
  readonly promptsPerSecond: number;
}

const count = (max = MAX_COUNT) => z.int().min(1).max(max);

/** `{perSecond, burst}`; each part has its own default. */
const rate = ({ perSecond, burst }: Rate) =>
  z.strictObject({ perSecond: count().default(perSecond), burst: count().default(burst) }).prefault({});

const { sources, handshakes, connections, overflowHandshakes, overflowConnections } = DEFAULT_SOURCE_LIMITS;

export const limitsSection = z
  .strictObject({
    connections: count(1_000_000).default(MAX_CONNECTIONS),
    source: z
      .strictObject({
        handshakes: rate(handshakes),
        connections: count().default(connections),
        remembered: count(10_000_000).default(sources),
        overflow: z.strictObject({ handshakes: rate(overflowHandshakes), connections: count().default(overflowConnections) }).prefault({}),
      })
      .prefault({}),
    handshake: z
      .strictObject({
        pending: count(1_000_000).default(DEFAULT_HALF_OPEN_LIMITS.handshakes),
        timeout: durationMs.default(DEFAULT_HALF_OPEN_LIMITS.timeoutMs),
        pressedTimeout: durationMs.default(DEFAULT_HALF_OPEN_LIMITS.pressedTimeoutMs),
        validations: rate(DEFAULT_ADDRESS_VALIDATIONS),
      })
      .refine(({ timeout, pressedTimeout }) => pressedTimeout <= timeout, { path: ['pressedTimeout'], error: 'must not be longer than timeout' })
      .prefault({}),
    client: z
      .strictObject({
        registrations: rate(DEFAULT_CONNECTION_RATES.registrations),
        opens: rate(DEFAULT_CONNECTION_RATES.opens),
        controlMessages: rate(DEFAULT_CONNECTION_RATES.controlMessages),
        datagrams: rate(DEFAULT_CONNECTION_RATES.datagrams),
        bytes: rate(DEFAULT_CONNECTION_RATES.bytes),
        services: count(MAX_SERVICES_PER_REGISTRATION).default(DEFAULT_RELAY_LIMITS.maxServicesPerRegistration),
        failedRegistrations: count().default(DEFAULT_RELAY_LIMITS.maxFailedRegistrations),
        helloTimeout: durationMs.default(DEFAULT_RELAY_LIMITS.helloTimeoutMs),
        idleTimeout: durationMs.refine((ms) => ms >= MIN_IDLE_MS && ms <= OUTER_IDLE_MS, { error: IDLE_RULE }).default(OUTER_IDLE_MS),
        unproductiveBytes: byteSize
          .refine((bytes) => bytes >= MIN_UNPRODUCTIVE_BYTES, { error: `must be ${MIN_UNPRODUCTIVE_BYTES} bytes or more` })
          .default(MAX_IDLE_BYTES),
      })
      .prefault({}),
    sessions: z
      .strictObject({
        total: count(1_000_000).default(DEFAULT_RELAY_LIMITS.maxSessions),
        perAgent: count(1_000_000).default(DEFAULT_RELAY_LIMITS.maxSessionsPerAgent),
        pendingPerAgent: count(1_000_000).default(DEFAULT_RELAY_LIMITS.maxPendingOpensPerAgent),
        acceptTimeout: durationMs.default(DEFAULT_RELAY_LIMITS.acceptTimeoutMs),
        connectorsPerOpen: count(1000).default(DEFAULT_RELAY_LIMITS.maxConnectorsPerOpen),
        idleTimeout: durationMs.refine((ms) => ms >= MIN_SESSION_IDLE_MS, { error: SESSION_IDLE_RULE }).default(DEFAULT_RELAY_LIMITS.sessionIdleMs),
      })
      .prefault({}),
    queues: z
      .strictObject({
        datagrams: count(1_000_000).default(DEFAULT_FAIR_QUEUE_LIMITS.datagrams),
        bytes: byteSize.refine((bytes) => bytes >= MIN_QUEUE_BYTES, { error: `must be ${MIN_QUEUE_BYTES} bytes or more` }).default(DEFAULT_FAIR_QUEUE_LIMITS.bytes),
        total: byteSize.default(DEFAULT_QUEUE_BUDGET.bytes),
        flows: count(10_000_000).default(DEFAULT_QUEUE_BUDGET.flows),
      })
      .refine(({ bytes, total }) => bytes <= total, { path: ['total'], error: 'must not be less than bytes' })
      .prefault({}),
    restart: z.strictObject({ resets: rate(DEFAULT_RESET_RATE), promptsPerSecond: count().default(PROMPTS_PER_SECOND) }).prefault({}),
  })
  .prefault({});

export const toRelayServerLimits = ({ connections, source, handshake, client, sessions, queues, restart }: z.infer<typeof limitsSection>): RelayServerLimits => ({
  maxConnections: connections,
  sources: {
    handshakes: source.handshakes,
    connections: source.connections,
    sources: source.remembered,
    overflowHandshakes: source.overflow.handshakes,
    overflowConnections: source.overflow.connections,
  },
  halfOpen: { handshakes: handshake.pending, timeoutMs: handshake.timeout, pressedTimeoutMs: handshake.pressedTimeout },
  validations: handshake.validations,
  rates: {
    registrations: client.registrations,
    opens: client.opens,
    controlMessages: client.controlMessages,
    datagrams: client.datagrams,
    bytes: client.bytes,
  },
  machine: {
    maxSessions: sessions.total,
    maxSessionsPerAgent: sessions.perAgent,
    maxPendingOpensPerAgent: sessions.pendingPerAgent,
    maxServicesPerRegistration: client.services,
    maxFailedRegistrations: client.failedRegistrations,
    maxConnectorsPerOpen: sessions.connectorsPerOpen,
    acceptTimeoutMs: sessions.acceptTimeout,
    sessionIdleMs: sessions.idleTimeout,
    helloTimeoutMs: client.helloTimeout,
    idleTimeoutMs: client.idleTimeout,
  },
  queue: { datagrams: queues.datagrams, bytes: queues.bytes },
  budget: { ...DEFAULT_QUEUE_BUDGET, bytes: queues.total, flows: queues.flows },
  idleBytes: client.unproductiveBytes,
  resets: restart.resets,
  promptsPerSecond: restart.promptsPerSecond,
});
