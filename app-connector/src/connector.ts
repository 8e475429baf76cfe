// The connector as a whole: one link to a relay, one inner QUIC endpoint that agents reach through
// relay sessions, one flow at a time to the backends its configuration names.

import {
  ConnectorMachine,
  createQuicConfig,
  Endpoint,
  INNER_PROFILE,
  quicPems,
  RelayLink,
  SessionCarrier,
  type ClientSettings,
  type ConnectorSessionCommand,
  type EndpointConnection,
  type Logger,
  type SessionHandle,
  type UdpMode,
} from '@ztna/protocol';
import { ConnectorStats } from './connector-stats.js';
import { FlowQuota } from './flow-quota.js';
import { InnerPeer, type InnerPeerInit } from './inner-peer.js';
import type { ServedService } from './service.js';

/** Inner connections: one per agent process and service. */
const MAX_INNER_CONNECTIONS = 8192;
/** One, and a few more that an agent may have left behind: each costs a handshake that the agent need not pay for. */
const MAX_CONNECTIONS_PER_SESSION = 4;

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
  /** Inner connections by the made-up host of the session that carries them. */
  readonly #peers = new Map<string, Set<EndpointConnection>>();

  constructor(init: ConnectorInit) {
    const { tls, services, udp, log } = init;
    this.#log = log;
    const quota = new FlowQuota();
    const byName = new Map(services.map((service) => [service.name, service]));
    const names = [...byName.keys()];
    this.stats = new ConnectorStats(names);
    this.#inner = new Endpoint({
      socket: this.#carrier,
      server: {
        config: createQuicConfig({ ...INNER_PROFILE, ...quicPems(tls) }),
        retry: false,
        maxConnections: MAX_INNER_CONNECTIONS,
        accept: ({ host }) => this.#acceptPeer(host, { trustDomain: tls.identity.trustDomain, services: byName, quota, stats: this.stats, log }),
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

  /** Ends every flow and leaves the relay in good order. */
  async stop(): Promise<void> {
    await this.#inner.close('no_error');
    await this.#link.stop();
  }

  #acceptPeer(host: string, init: Omit<InnerPeerInit, 'onStart' | 'onEnd'>): InnerPeer | undefined {
    const peers = this.#peers.get(host) ?? new Set();
    if (peers.size >= MAX_CONNECTIONS_PER_SESSION) return undefined;
    return new InnerPeer({
      ...init,
      onStart: (connection) => this.#peers.set(host, peers.add(connection)),
      onEnd: (connection) => {
        peers.delete(connection);
        if (peers.size > 0) return;
        this.#peers.delete(host);
        this.#endSession(this.#carrier.sessionAt(host));
      },
    });
  }

  #perform(command: ConnectorSessionCommand): void {
    switch (command.kind) {
      case 'sessionIncoming': {
        const { outer } = this.#link;
        if (outer) this.#carrier.addSession(command.session, outer);
        this.#log.debug('session_accepted', { agent: command.agent, service: command.service });
        return;
      }
      case 'sessionClosed': {
        const host = this.#carrier.removeSession(command.session.slot);
        for (const connection of [...(this.#peers.get(host ?? '') ?? [])]) connection.abandon(command.code);
      }
    }
  }

  /** The last inner connection of a session is over: the session has no more use. */
  #endSession(session: SessionHandle | undefined): void {
    if (!session) return;
    this.#carrier.removeSession(session.slot);
    this.#link.machine.closeSession(session);
    this.#link.pump();
  }
}
