// The connector as a whole: one link to a relay, one inner QUIC endpoint that agents reach through
// relay sessions, one flow at a time to the backends its configuration names.

import { performance } from 'node:perf_hooks';
import {
  ConnectorMachine,
  createQuicConfig,
  Endpoint,
  INNER_PROFILE,
  quicPems,
  RelayLink,
  reportHandlerErrors,
  SessionCarrier,
  type ClientSettings,
  type ConnectorSessionCommand,
  type FailureCode,
  type LinkedSession,
  type Logger,
  type StatusCounts,
  type UdpMode,
} from '@ztna/protocol';
import { ConnectorStats } from './connector-stats.js';
import { FlowQuota } from './flow-quota.js';
import { InnerPeer, type InnerPeerInit } from './inner-peer.js';
import { InnerSessions } from './inner-sessions.js';
import type { ServedService } from './service.js';

/** Inner connections: one per agent process and service. */
const MAX_INNER_CONNECTIONS = 8192;

export interface ConnectorInit extends ClientSettings {
  readonly udp: UdpMode;
  readonly services: readonly ServedService[];
  readonly log: Logger;
}

export class Connector {
  readonly stats: ConnectorStats;
  readonly #log: Logger;
  readonly #link: RelayLink<ConnectorSessionCommand, ConnectorMachine>;
  readonly #carrier = new SessionCarrier();
  readonly #inner: Endpoint;
  readonly #quota = new FlowQuota();
  readonly #sessions = new InnerSessions(this.#carrier, (session, code) => this.#closeSession(session, code));

  constructor(init: ConnectorInit) {
    const { tls, services, udp, log } = init;
    this.#log = log;
    const byName = new Map(services.map((service) => [service.name, service]));
    const names = [...byName.keys()];
    this.stats = new ConnectorStats(names);
    this.#inner = new Endpoint({
      socket: this.#carrier,
      onHandlerError: reportHandlerErrors(log),
      server: {
        config: createQuicConfig({ ...INNER_PROFILE, ...quicPems(tls) }),
        retry: false,
        maxConnections: MAX_INNER_CONNECTIONS,
        accept: ({ host }) => this.#acceptPeer(host, { trustDomain: tls.identity.trustDomain, services: byName, quota: this.#quota, stats: this.stats, log }),
      },
    });
    this.#link = new RelayLink({
      client: init,
      udp,
      services: names,
      carrier: this.#carrier,
      log,
      createMachine: (shared) => new ConnectorMachine({ ...shared, services: names }),
      perform: (command) => this.#perform(command),
    });
  }

  /** Registration, sessions, and how they went. */
  get link(): Pick<RelayLink<ConnectorSessionCommand, ConnectorMachine>, 'machine' | 'outcomes'> {
    return this.#link;
  }

  /** Inner connections: one per agent process and service. */
  get innerConnections(): number {
    return this.#inner.connectionCount;
  }

  /** Starts dialing; returns at once. */
  start(): void {
    this.#link.start();
  }

  /** What it holds now; `paths` are sessions with an address of their own in the inner endpoint's network. */
  status(): StatusCounts {
    const { machine } = this.#link;
    return {
      registered: Number(machine.registered),
      sessions: machine.sessionCount,
      paths: this.#carrier.pathCount,
      innerConnections: this.#inner.liveConnectionCount,
      flows: this.#quota.total,
    };
  }

  /** Ends every flow and leaves the relay in good order. */
  async stop(): Promise<void> {
    this.#sessions.stop();
    await this.#inner.close('no_error');
    await this.#link.stop();
  }

  #acceptPeer(host: string, init: Omit<InnerPeerInit, 'onStart' | 'onEnd' | 'acceptsPath'>): InnerPeer | undefined {
    const sessions = this.#sessions;
    if (!sessions.admits(host)) return undefined;
    return new InnerPeer({
      ...init,
      onStart: (connection) => sessions.connect(connection, host),
      onEnd: (connection) => sessions.disconnect(connection),
      acceptsPath: (connection, from, agent) => sessions.acceptsPath(connection, from, agent),
    });
  }

  #perform(command: ConnectorSessionCommand): void {
    const { link, session } = command;
    switch (command.kind) {
      case 'sessionIncoming': {
        const outer = this.#link.outer(link);
        if (outer) this.#sessions.add({ link, session }, command.agent, outer);
        this.#log.debug('session_accepted', { agent: command.agent, service: command.service });
        return;
      }
      case 'sessionClosed':
        this.#sessions.end({ link, session }, command.code);
    }
  }

  /** A session has no more use here. */
  #closeSession({ link, session }: LinkedSession, code: FailureCode): void {
    if (code === 'session_idle') this.#log.info('session_idle', { code });
    this.#link.machine.closeSession(link, session, performance.now());
    this.#link.pump();
  }
}
