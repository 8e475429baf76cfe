// A client's way to its relays, whole: machine, driver, registration tokens, log lines. What agent
// and connector have in common; each gives its own machine and performs its own commands.

import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { SessionCarrier } from '../carrier/session-carrier.js';
import { quicPems } from '../config/tls-material.js';
import { formatIdentity } from '../identity.js';
import { reportHandlerErrors } from '../log/handler-errors.js';
import type { Logger } from '../log/logger.js';
import type { ClientMachine } from '../machine/client/client-machine.js';
import type { Command } from '../machine/client/command-queue.js';
import type { LinkId, LinkInit } from '../machine/client/link-types.js';
import type { EndpointConnection } from '../quic/endpoint-connection.js';
import type { QuicConfig } from '../quic/port.js';
import { createQuicConfig } from '../quic/quiche-adapter.js';
import { OUTER_PROFILE } from '../quic/transport-profiles.js';
import { LinkOutcomes } from '../observe/link-metrics.js';
import { SOFTWARE } from '../software.js';
import { mintToken } from '../token/mint-token.js';
import { formatAddress } from '../udp/datagram-socket.js';
import { openDatagramSocket, type UdpMode } from '../udp/open-socket.js';
import type { ClientSettings } from './client-settings.js';
import { RelayDriver, type EventCommand } from './relay-driver.js';

export interface RelayLinkInit<Extra extends Command, Machine extends ClientMachine<Extra>> {
  readonly client: ClientSettings;
  readonly udp: UdpMode;
  /** What to register; empty for an agent. */
  readonly services: readonly string[];
  readonly carrier: SessionCarrier;
  readonly log: Logger;
  readonly createMachine: (init: Omit<LinkInit, 'role' | 'limits'>) => Machine;
  /** The role's own commands: sessions that open and close. */
  readonly perform: (command: Extra) => void;
}

export class RelayLink<Extra extends Command, Machine extends ClientMachine<Extra>> {
  readonly machine: Machine;
  readonly outcomes = new LinkOutcomes();
  readonly #driver: RelayDriver<Extra>;
  readonly #log: Logger;
  #client: Credentials;
  #config: QuicConfig;

  constructor({ client, udp, services, carrier, log, createMachine, perform }: RelayLinkInit<Extra, Machine>) {
    const { relays, tls: { identity } } = client;
    this.#log = log;
    this.#client = client;
    this.#config = outerConfig(client);
    const currentConfig = (): QuicConfig => this.#config;
    this.machine = createMachine({
      software: SOFTWARE,
      relays: relays.map((relay) => ({ trustDomain: identity.trustDomain, name: relay.name, address: formatAddress(relay) })),
      random: Math.random,
      wallClock: Date.now,
      mintToken: (relay, now) => {
        const { registrationKey, tls: { fingerprint: binding } } = this.#client;
        return mintToken({ identity, services, audience: formatIdentity(relay), binding }, registrationKey, { now, randomBytes });
      },
    });
    this.#driver = new RelayDriver<Extra>({
      machine: this.machine,
      identity,
      relays,
      get config() {
        return currentConfig();
      },
      carrier,
      openSocket: (address) => openDatagramSocket(address, { mode: udp }),
      onHandlerError: reportHandlerErrors(log),
      perform: (command) => (isEvent(command) ? this.#report(command) : perform(command)),
    });
  }

  /** The connection of a link, which carries its sessions. */
  outer(link: LinkId): EndpointConnection | undefined {
    return this.#driver.outer(link);
  }

  /** Starts dialing; returns at once. */
  start(): void {
    this.machine.start(performance.now());
    this.#driver.pump();
  }

  /**
   * Takes over what a reload read, of the same identity. If it is not what the link was made with, the link is made anew: the
   * old one serves until the new one stands.
   *
   * @returns whether anything has changed
   */
  apply(client: Credentials): boolean {
    const isSame = sameCredentials(this.#client, client);
    if (isSame) return false;
    this.#client = client;
    this.#config = outerConfig(client);
    this.machine.renew(performance.now());
    this.#driver.pump();
    return true;
  }

  /** Performs what an input to the machine has led to. */
  pump(): void {
    this.#driver.pump();
  }

  /** Leaves the relay in good order and releases every socket and timer. */
  async stop(): Promise<void> {
    this.machine.stop(performance.now());
    await this.#driver.stop();
  }

  #report({ event }: EventCommand): void {
    this.outcomes.countEvent(event);
    const { level, name, ...fields } = event;
    this.#log[level](name, fields);
  }
}

/** What a client proves itself by, and whom it believes. */
export type Credentials = Pick<ClientSettings, 'tls' | 'registrationKey'>;

const sameCredentials = (one: Credentials, other: Credentials): boolean =>
  one.tls.caPem.equals(other.tls.caPem) &&
  one.tls.certificatePem.equals(other.tls.certificatePem) &&
  one.tls.keyPem.equals(other.tls.keyPem) &&
  one.registrationKey.equals(other.registrationKey);

const outerConfig = ({ tls }: Credentials): QuicConfig => createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 });

const isEvent = <Extra extends Command>(command: Extra | EventCommand): command is EventCommand => command.kind === 'event';
