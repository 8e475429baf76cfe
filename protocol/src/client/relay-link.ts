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

  constructor({ client, udp, services, carrier, log, createMachine, perform }: RelayLinkInit<Extra, Machine>) {
    const { tls, relays, registrationKey } = client;
    const { identity, fingerprint: binding } = tls;
    this.#log = log;
    this.machine = createMachine({
      software: SOFTWARE,
      relays: relays.map((relay) => ({ trustDomain: identity.trustDomain, name: relay.name, address: formatAddress(relay) })),
      random: Math.random,
      wallClock: Date.now,
      mintToken: (relay, now) =>
        mintToken({ identity, services, audience: formatIdentity(relay), binding }, registrationKey, { now, randomBytes }),
    });
    this.#driver = new RelayDriver<Extra>({
      machine: this.machine,
      identity,
      relays,
      config: createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 }),
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

const isEvent = <Extra extends Command>(command: Extra | EventCommand): command is EventCommand => command.kind === 'event';
