// The relay's driver: one UDP socket, the QUIC endpoint and the relay machine. The way of a datagram:
//
//   1 udp/batched-socket.ts        packet from the kernel
//   2 quic/endpoint.ts             connection id → connection           drops: PACKET_DROP_REASONS
//   3 quic/endpoint-connection.ts  decrypted by QUIC, taken off its datagram queue
//   4 relay-client.ts              onDatagram, one call:
//   5 machine/relay/datagram-switch.ts  header, slot, owner, tag; slot and tag rewritten in place   drops: DROP_REASONS
//   6 forwarder.ts, protocol's carrier/outbound-queue.ts  straight to the peer, or into its fair queue
//                                  drops: peer_gone, too_large, peer_queue_full, queue_budget, queue_delay, slot_unknown
//   7 quic/endpoint.ts             encrypted and sent with the peer's next run

import { performance } from 'node:perf_hooks';
import { randomBytes } from 'node:crypto';
import {
  ConnectionRateTable,
  createQuicConfig,
  DeadlineTimer,
  Endpoint,
  formatIdentity,
  OUTER_PROFILE,
  QueueBudget,
  quicPems,
  RandomRetryKeys,
  RelayMachine,
  ReplayLog,
  reportHandlerErrors,
  ResetKey,
  SharedRetryKeys,
  SOFTWARE,
  SourceAdmission,
  verifyToken,
  type DatagramSocket,
  type EndpointConnection,
  type FailureCode,
  type Keyring,
  type Logger,
  type Policy,
  type QuicConfig,
  type RelayCommand,
  type RelayLimits,
  type RetryKeys,
  type ReviewedClient,
  type Revocations,
  type SocketAddress,
  type StatusCounts,
  type TlsMaterial,
  type WorkerPlace,
} from '@ztna/protocol';
import type { ClientJournal } from './client-journal.js';
import { clientFault, type Authorities, type ShownCertificate } from './client-review.js';
import { ControlPauses } from './control-pauses.js';
import { Forwarder } from './forwarder.js';
import type { JournalEntry } from './journal-records.js';
import type { ClientLimitsReached } from './limit-metrics.js';
import type { RelayServerLimits } from './limits-section.js';
import { RelayClient } from './relay-client.js';
import { RelayOutcomes } from './relay-outcomes.js';
import { ReturnPrompts } from './return-prompts.js';
import { RevocationTimer } from './revocation-timer.js';
import { TrustedIssuers } from './trusted-issuers.js';
import { TurnedAway } from './turned-away.js';

/** Certificates and keys run out by themselves; a client that overstays does so for this long at most. */
const REVIEW_INTERVAL_MS = 30_000;

/** What a reload may change. */
export interface RelayAuthorities {
  readonly tls: TlsMaterial;
  readonly keyring: Keyring;
  readonly policy: Policy;
  readonly revocations: Revocations;
  /** What the keys of Retry tokens are derived from, if a fleet shares one. */
  readonly retryKey: Buffer | undefined;
  readonly limits: RelayServerLimits;
}

export interface RelayServerInit extends RelayAuthorities {
  readonly socket: DatagramSocket;
  readonly log: Logger;
  /** Default: none is kept. */
  readonly journal?: ClientJournal | undefined;
  /** Its place among the workers that share the socket's port. Default: it is alone. */
  readonly worker?: WorkerPlace | undefined;
}

export class RelayServer {
  readonly machine: RelayMachine;
  readonly outcomes = new RelayOutcomes();
  readonly #revocationTimer = new RevocationTimer(this.outcomes.revocation);
  readonly forwarder: Forwarder;
  readonly pauses = new ControlPauses();
  readonly clientLimits: ClientLimitsReached = { idleTimeout: 0, unproductiveBytes: 0 };
  /** Gauges of sources and handshakes. */
  readonly admission: SourceAdmission;
  readonly #endpoint: Endpoint;
  readonly #log: Logger;
  readonly #clients: (RelayClient | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #timer = new DeadlineTimer(() => {
    this.machine.handleTimeout(performance.now());
    this.pump();
  });
  readonly #reviewTimer: NodeJS.Timeout;
  #authorities: Authorities;
  readonly #turnedAway: TurnedAway;
  /** The machine's own object: what is written here holds for its next decision. */
  readonly #machineLimits: RelayLimits;
  #limits: RelayServerLimits;
  #retryKey: Buffer | undefined;
  #onDrained: (() => void) | undefined;
  readonly #journal: ClientJournal | undefined;
  #prompts: ReturnPrompts | undefined;

  constructor({ socket, tls, keyring, policy, revocations, retryKey, limits, log, journal, worker }: RelayServerInit) {
    this.#log = log;
    this.#journal = journal;
    this.#turnedAway = new TurnedAway(log);
    this.#machineLimits = { ...limits.machine };
    this.#limits = limits;
    this.#retryKey = retryKey;
    this.#authorities = { issuers: new TrustedIssuers(tls.caPem), keyring, revocations };
    // Beside the keyring, not in it: a reload must not bring a used token back to life.
    const replayLog = new ReplayLog();
    const budget = new QueueBudget(limits.budget);
    const audience = formatIdentity(tls.identity);
    this.machine = new RelayMachine({
      identity: tls.identity,
      software: SOFTWARE,
      worker,
      policy,
      randomU32: () => randomBytes(4).readUInt32BE(),
      wallClock: Date.now,
      limits: this.#machineLimits,
      rates: new ConnectionRateTable(limits.rates),
      isStrained: () => budget.isStrained,
      verifyToken: (token, context) => {
        const verdict = verifyToken(token, { ...context, audience, now: context.nowEpochMs }, this.#authorities.keyring, replayLog);
        return verdict.ok ? { ok: true, services: verdict.claims.services, keyId: verdict.keyId } : verdict;
      },
    });
    this.admission = new SourceAdmission(limits, performance.now());
    this.forwarder = new Forwarder(this.machine, budget, limits.queue);
    this.#endpoint = new Endpoint({
      socket,
      isRoaming: true,
      onHandlerError: reportHandlerErrors(log),
      server: {
        config: serverConfig(tls, limits.machine.idleTimeoutMs),
        retry: true,
        retryKeys: createRetryKeys(retryKey),
        maxConnections: limits.maxConnections,
        validations: limits.validations,
        resets: limits.resets,
        admission: this.admission,
        resetKey: ResetKey.derive(tls.keyPem),
        worker,
        onTurnedAway: (reason, peer) => this.#turnedAway.note(reason, peer),
        accept: (peer) => new RelayClient(this, peer, log),
      },
    });
    this.#reviewTimer = setInterval(() => this.#review(), REVIEW_INTERVAL_MS).unref();
  }

  get local(): SocketAddress {
    return this.#endpoint.local;
  }

  /** How handshakes went. */
  get handshakes(): Endpoint['handshakes'] {
    return this.#endpoint.handshakes;
  }

  /** Packets that never reached a connection, by reason. */
  get packetDrops(): Endpoint['drops'] {
    return this.#endpoint.drops;
  }

  /** Answers to packets of connections from before a restart. */
  get resets(): Endpoint['resets'] {
    return this.#endpoint.resets;
  }

  /** Clients of the run before that had to wait until they were told to return. */
  get promptsPutOff(): number {
    return this.#prompts?.putOff ?? 0;
  }

  /** Those in force. */
  get limits(): RelayServerLimits {
    return this.#limits;
  }

  /** What clients are judged by now. */
  get authorities(): Authorities {
    return this.#authorities;
  }

  /** What it holds now; `quicConnections` also counts those whose handshake runs or that drain. */
  status(): StatusCounts {
    return { ...this.machine.stats(), quicConnections: this.#endpoint.connectionCount, connectionIds: this.#endpoint.connectionIdCount };
  }

  /**
   * Takes over reloaded files: at once for handshakes, registrations and opens to come. Connections
   * live on unless what they rest on is gone; those end with the code that says what.
   *
   * @param changedAt when the files changed, in ms since the Unix epoch: where the time to revoke is counted from
   */
  apply({ tls, keyring, policy, revocations, retryKey, limits }: RelayAuthorities, changedAt: number): { clientsClosed: number } {
    // First what may fail, so that a set of files is taken over as a whole or not at all.
    const config = serverConfig(tls, limits.machine.idleTimeoutMs);
    this.#revocationTimer.begin(changedAt);
    this.#authorities = { issuers: new TrustedIssuers(tls.caPem), keyring, revocations };
    this.#endpoint.updateServer({ config, resetKey: ResetKey.derive(tls.keyPem) });
    this.#applyRetryKey(retryKey);
    this.#applyLimits(limits);
    this.machine.setPolicy(policy, performance.now());
    return { clientsClosed: this.#review() };
  }

  /** The one place where changed limits take hold: for decisions to come, nobody is turned out for them. */
  #applyLimits(limits: RelayServerLimits): void {
    Object.assign(this.#machineLimits, limits.machine);
    this.admission.setLimits(limits);
    // Buckets and queues keep what they hold as far as it fits; `queues.total` is set aside at the start.
    this.machine.setRates(new ConnectionRateTable(limits.rates), performance.now());
    this.forwarder.setLimits(limits.queue);
    this.forwarder.setMaxFlows(limits.budget.flows);
    this.#endpoint.updateServer({ maxConnections: limits.maxConnections, validations: limits.validations, resets: limits.resets });
    this.#prompts?.setRate(limits.promptsPerSecond);
    this.#journal?.setMaxClients(limits.maxConnections);
    this.#limits = limits;
  }

  /** An unchanged file changes no keys: random ones would else be thrown away with every reload. */
  #applyRetryKey(retryKey: Buffer | undefined): void {
    const isSame = retryKey === undefined ? this.#retryKey === undefined : this.#retryKey?.equals(retryKey);
    if (isSame) return;
    this.#retryKey = retryKey;
    this.#endpoint.updateServer({ retryKeys: createRetryKeys(retryKey) });
  }

  /** Why a client may not stay, or undefined. */
  faultOf(client: Pick<ReviewedClient, 'peer' | 'registration'>, certificate: ShownCertificate): FailureCode | undefined {
    return clientFault(client, certificate, this.#authorities, Date.now());
  }

  #review(): number {
    const closed = this.machine.review((client) => {
      const certificate = this.#clients[client.conn]?.certificate;
      const fault = certificate && this.faultOf(client, certificate);
      if (fault === 'certificate_revoked') this.#revocationTimer.awaitEnd(client.conn);
      return fault;
    }, performance.now());
    this.pump();
    return closed;
  }

  /** Tells every client to go elsewhere and resolves when no session is left, or after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.machine.drain(deadlineMs, performance.now());
      this.pump();
    });
  }

  /** Closes every connection and the socket. */
  async close(): Promise<void> {
    this.#timer.arm(undefined);
    clearInterval(this.#reviewTimer);
    this.pauses.stop();
    this.#prompts?.stop();
    this.#turnedAway.stop();
    await this.#endpoint.close('draining');
    this.#timer.arm(undefined);
    await this.#journal?.close();
  }

  /** Tells clients of an earlier run, as its journal names them, that they have to come back. */
  promptReturn(left: readonly JournalEntry[]): void {
    this.#prompts?.stop();
    this.#prompts = new ReturnPrompts(left, {
      random: Math.random,
      perSecond: this.#limits.promptsPerSecond,
      send: ({ token, host, port }) => {
        this.#endpoint.resets?.send(Buffer.from(token, 'hex'), host, port);
        this.#journal?.forget(token);
      },
    });
  }

  /** A client is to be told after a kill. */
  remember(connection: EndpointConnection, role: 'agent' | 'connector'): void {
    const token = tokenOf(connection);
    if (token !== undefined) this.#journal?.record({ role, token, ...connection.peer.address });
  }

  noteMoved(connection: EndpointConnection): void {
    const token = tokenOf(connection);
    const { host, port } = connection.peer.address;
    if (token !== undefined) this.#journal?.move(token, host, port);
  }

  forget(connection: EndpointConnection): void {
    const token = tokenOf(connection);
    if (token !== undefined) this.#journal?.forget(token);
  }

  /** The lowest free id, so that the machine's tables stay dense. */
  admit(client: RelayClient, connection: EndpointConnection): number {
    const id = this.#freeIds.pop() ?? this.#clients.length;
    this.#clients[id] = client;
    this.forwarder.add(id, connection);
    return id;
  }

  connectionOf(id: number): EndpointConnection | undefined {
    return this.#clients[id]?.connection;
  }

  release(id: number): void {
    this.#revocationTimer.noticeEnd(id);
    this.#clients[id] = undefined;
    this.forwarder.remove(id);
    this.#freeIds.push(id);
  }

  /** Performs what the machine has asked for and arms its next deadline. */
  pump(): void {
    for (let command; (command = this.machine.nextCommand()); ) this.#perform(command);
    this.#timer.arm(this.machine.pollTimeout());
  }

  #perform(command: RelayCommand): void {
    switch (command.kind) {
      case 'send':
        return this.#clients[command.conn]?.control?.send(command.message);
      case 'close':
        return this.#clients[command.conn]?.connection?.close(command.code, command.reason);
      case 'event': {
        this.outcomes.countEvent(command.event);
        const { level, name, ...fields } = command.event;
        return this.#log[level](name, fields);
      }
      case 'drained':
        return this.#onDrained?.();
    }
  }
}

const tokenOf = ({ family }: EndpointConnection): string | undefined => family?.resetToken.toString('hex');

const serverConfig = (tls: TlsMaterial, idleTimeoutMs: number): QuicConfig =>
  createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), idleTimeoutMs });

const createRetryKeys = (fileKey: Buffer | undefined): RetryKeys => (fileKey ? new SharedRetryKeys(fileKey) : new RandomRetryKeys());
