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
  type Credentials,
  type QuicConfig,
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
  /** As of the last reload; those registered with the relay are the ones of the start. */
  readonly #services = new Map<string, ServedService>();
  readonly #peers = new Set<InnerPeer>();
  readonly #quota = new FlowQuota();
  readonly #sessions = new InnerSessions(this.#carrier, (session, code) => this.#closeSession(session, code));

  constructor(init: ConnectorInit) {
    const { tls, services, udp, log } = init;
    this.#log = log;
    for (const service of services) this.#services.set(service.name, service);
    const names = [...this.#services.keys()];
    this.stats = new ConnectorStats(names);
    this.#inner = new Endpoint({
      socket: this.#carrier,
      onHandlerError: reportHandlerErrors(log),
      server: {
        config: innerConfig(init),
        retry: false,
        maxConnections: MAX_INNER_CONNECTIONS,
        accept: ({ host }) => this.#acceptPeer(host, { trustDomain: tls.identity.trustDomain, services: this.#services, quota: this.#quota, stats: this.stats, log }),
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

  /**
   * Takes over reloaded files: certificate, CA and registration key for connections to come, with the link to the relay made
   * anew; allow lists and backends for flows to come. Agents that are allowed no more are closed; a service that is new is
   * served from the next start on, one that is gone not any more.
   */
  apply(client: Credentials, services: readonly ServedService[]): { readonly linkRenewed: boolean; readonly agentsClosed: number } {
    this.#inner.updateServer({ config: innerConfig(client) });
    const next = new Map(services.map((service) => [service.name, service]));
    for (const name of this.#services.keys()) if (!next.has(name)) this.#services.delete(name);
    for (const [name, service] of next) if (this.stats.connects.has(name)) this.#services.set(name, service);
    let agentsClosed = 0;
    for (const peer of [...this.#peers]) if (peer.review()) agentsClosed += 1;
    return { linkRenewed: this.#link.apply(client), agentsClosed };
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
    const peer: InnerPeer = new InnerPeer({
      ...init,
      onStart: (connection) => {
        this.#peers.add(peer);
        sessions.connect(connection, host);
      },
      onEnd: (connection) => {
        this.#peers.delete(peer);
        sessions.disconnect(connection);
      },
      acceptsPath: (connection, from, agent) => sessions.acceptsPath(connection, from, agent),
    });
    return peer;
  }

  #perform(command: ConnectorSessionCommand): void {
    switch (command.kind) {
      case 'sessionIncoming': {
        const { link, session } = command;
        const outer = this.#link.outer(link);
        if (outer) this.#sessions.add({ link, session }, command.agent, outer);
        this.#log.debug('session_accepted', { agent: command.agent, service: command.service });
        return;
      }
      case 'sessionMoved': {
        const outer = this.#link.outer(command.to.link);
        if (outer) this.#sessions.move(command.from, command.to, outer);
        return;
      }
      case 'sessionClosed':
        this.#sessions.end(command, command.code);
    }
  }

  /** A session has no more use here. */
  #closeSession({ link, session }: LinkedSession, code: FailureCode): void {
    if (code === 'session_idle') this.#log.info('session_idle', { code });
    this.#link.machine.closeSession(link, session, performance.now());
    this.#link.pump();
  }
}

const innerConfig = ({ tls }: Pick<Credentials, 'tls'>): QuicConfig => createQuicConfig({ ...INNER_PROFILE, ...quicPems(tls) });
