// The connector as a whole: one link to a relay, one inner QUIC endpoint that agents reach through
// relay sessions, one flow at a time to the backends its configuration names.

import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import {
  ConnectorMachine,
  createQuicConfig,
  Endpoint,
  formatAddress,
  formatIdentity,
  INNER_PROFILE,
  mintToken,
  openDatagramSocket,
  OUTER_PROFILE,
  RelayDriver,
  SessionCarrier,
  SOFTWARE,
  type ConnectorSessionCommand,
  type EndpointConnection,
  type EventCommand,
  type Logger,
  type RegistrationKey,
  type RelayAddress,
  type SessionHandle,
  type TlsMaterial,
  type UdpMode,
} from '@ztna/protocol';
import { FlowQuota } from './flow-quota.js';
import { InnerPeer, type InnerPeerInit } from './inner-peer.js';
import type { ServedService } from './service.js';

/** Inner connections: one per agent process and service. */
const MAX_INNER_CONNECTIONS = 8192;
/** One, and a few more that an agent may have left behind: each costs a handshake that the agent need not pay for. */
const MAX_CONNECTIONS_PER_SESSION = 4;

export interface ConnectorInit {
  readonly tls: TlsMaterial;
  readonly registrationKey: RegistrationKey;
  readonly relays: readonly RelayAddress[];
  readonly udp: UdpMode;
  readonly services: readonly ServedService[];
  readonly log: Logger;
}

export class Connector {
  readonly #log: Logger;
  readonly #machine: ConnectorMachine;
  readonly #driver: RelayDriver<ConnectorSessionCommand>;
  readonly #carrier = new SessionCarrier();
  readonly #inner: Endpoint;
  /** Inner connections by the made-up host of the session that carries them. */
  readonly #peers = new Map<string, Set<EndpointConnection>>();
  #onReady: (() => void) | undefined;

  constructor({ tls, registrationKey, relays, services, udp, log }: ConnectorInit) {
    this.#log = log;
    const pems = { caPem: tls.caPem, certificatePem: tls.certificatePem, keyPem: tls.keyPem };
    const quota = new FlowQuota();
    const byName = new Map(services.map((service) => [service.name, service]));
    this.#inner = new Endpoint({
      socket: this.#carrier,
      server: {
        config: createQuicConfig({ ...INNER_PROFILE, ...pems }),
        retry: false,
        maxConnections: MAX_INNER_CONNECTIONS,
        accept: ({ host }) => this.#acceptPeer(host, { trustDomain: tls.identity.trustDomain, services: byName, quota, log }),
      },
    });
    this.#machine = new ConnectorMachine({
      software: SOFTWARE,
      services: services.map(({ name }) => name),
      relays: relays.map((relay) => ({ trustDomain: tls.identity.trustDomain, name: relay.name, address: formatAddress(relay) })),
      random: Math.random,
      wallClock: Date.now,
      mintToken: (relay, now) =>
        mintToken(
          { identity: tls.identity, services: [...byName.keys()], audience: formatIdentity(relay), binding: tls.fingerprint },
          registrationKey,
          { now, randomBytes },
        ),
    });
    this.#driver = new RelayDriver<ConnectorSessionCommand>({
      machine: this.#machine,
      identity: tls.identity,
      relays,
      config: createQuicConfig({ ...OUTER_PROFILE, ...pems, maxStreams: 0 }),
      carrier: this.#carrier,
      openSocket: (address) => openDatagramSocket(address, { mode: udp }),
      perform: (command) => this.#perform(command),
    });
  }

  /** Starts dialing; returns at once. */
  start(): void {
    this.#machine.start(performance.now());
    this.#driver.pump();
  }

  /** Resolves when the relay has accepted the registration. */
  whenReady(): Promise<void> {
    return this.#machine.registered ? Promise.resolve() : new Promise((resolve) => (this.#onReady = resolve));
  }

  /** Ends every flow and leaves the relay in good order. */
  async stop(): Promise<void> {
    await this.#inner.close('no_error');
    this.#machine.stop(performance.now());
    await this.#driver.stop();
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

  #perform(command: ConnectorSessionCommand | EventCommand): void {
    switch (command.kind) {
      case 'event': {
        const { level, name, ...fields } = command.event;
        this.#log[level](name, fields);
        if (name === 'registered') {
          this.#onReady?.();
          this.#onReady = undefined;
        }
        return;
      }
      case 'sessionIncoming': {
        const { outer } = this.#driver;
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
    this.#machine.closeSession(session);
    this.#driver.pump();
  }
}
