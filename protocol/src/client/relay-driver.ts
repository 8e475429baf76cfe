// Drives a client machine (agent or connector): dials the relays it asks for, one connection per link,
// carries their control messages, and feeds relayed datagrams to the session carrier. A new dial gets a
// new socket, and with it a new port and NAT binding. Decisions are the machine's.

import { performance } from 'node:perf_hooks';
import type { SessionCarrier } from '../carrier/session-carrier.js';
import type { FailureCode } from '../failure-codes.js';
import type { Identity } from '../identity.js';
import type { ClientMachine } from '../machine/client/client-machine.js';
import type { Command } from '../machine/client/command-queue.js';
import { CONNECTION_COMMANDS, type Disconnection, type LinkCommand, type LinkId } from '../machine/client/link-types.js';
import { ControlChannel } from '../quic/control-channel.js';
import type { EndpointConnection } from '../quic/endpoint-connection.js';
import type { QuicConfig } from '../quic/port.js';
import type { DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import { DeadlineTimer } from './deadline-timer.js';
import type { RelayAddress } from './relay-address.js';
import { RelayDial, type RelayDialInit } from './relay-dial.js';

export type EventCommand = Extract<LinkCommand, { kind: 'event' }>;

export interface RelayDriverInit<Extra extends Command> extends Pick<RelayDialInit, 'resolve'> {
  readonly machine: ClientMachine<Extra>;
  readonly identity: Identity;
  readonly relays: readonly RelayAddress[];
  /** Read at every dial: may be a getter. */
  readonly config: QuicConfig;
  readonly carrier: SessionCarrier;
  readonly openSocket: (address: SocketAddress) => Promise<DatagramSocket>;
  /** A handler threw: a fault of ours. Default: a process warning. */
  readonly onHandlerError?: (error: unknown) => void;
  /** Commands that are not the link's: sessions, and events for the log. */
  readonly perform: (command: Extra | EventCommand) => void;
}

interface Attempt {
  readonly link: LinkId;
  readonly dial: RelayDial;
  control?: ControlChannel;
  /** Packets that had come when the relay was pinged; undefined while no ping waits for an answer. */
  heardBefore?: number | undefined;
  over: boolean;
}

export class RelayDriver<Extra extends Command> {
  /** Datagrams from a relay that no session of ours claims. */
  unclaimedDatagrams = 0;
  readonly #init: RelayDriverInit<Extra>;
  readonly #pending = new Set<Promise<void>>();
  readonly #attempts = new Map<LinkId, Attempt>();
  readonly #timer = new DeadlineTimer(() => {
    this.#init.machine.handleTimeout(performance.now());
    this.pump();
  });
  #stopped = false;

  constructor(init: RelayDriverInit<Extra>) {
    this.#init = init;
  }

  /** The connection of a link, once its relay has answered. */
  outer(link: LinkId): EndpointConnection | undefined {
    return this.#attempts.get(link)?.dial.connection;
  }

  /** Performs what the machine has asked for and arms its next deadline. Call it after every input to the machine. */
  pump(): void {
    const { machine, perform } = this.#init;
    for (let command; (command = machine.nextCommand()); ) {
      if (isLinkAction(command)) this.#performLink(command);
      else perform(command);
    }
    this.#timer.arm(this.#stopped ? undefined : machine.pollTimeout());
  }

  /** Leaves the relays and releases every socket and timer. The machine was stopped before. */
  async stop(): Promise<void> {
    this.pump();
    this.#stopped = true;
    this.#timer.arm(undefined);
    for (const attempt of [...this.#attempts.values()]) this.#retire(attempt, 'no_error');
    await Promise.all(this.#pending);
  }

  #performLink(command: LinkAction): void {
    const attempt = this.#attempts.get(command.link);
    switch (command.kind) {
      case 'dial':
        if (attempt) this.#retire(attempt, 'no_error');
        return this.#dial(command.link, this.#init.relays[command.relay]!, command.worker);
      case 'send':
        return attempt?.control?.send(command.message);
      case 'ping':
        return this.#ping(attempt, command.renewsId);
      case 'disconnect':
        if (attempt) this.#retire(attempt, command.code, command.reason);
    }
  }

  #dial(link: LinkId, relay: RelayAddress, worker: WorkerPlace | undefined): void {
    const { carrier, identity, config, openSocket, resolve, onHandlerError, machine } = this.#init;
    const attempt: Attempt = {
      link,
      over: false,
      dial: new RelayDial({
        relay,
        worker,
        trustDomain: identity.trustDomain,
        config,
        openSocket,
        ...(resolve ? { resolve } : {}),
        ...(onHandlerError ? { onHandlerError } : {}),
        onAnswered: () => machine.handleAnswered(link),
        onEstablished: (connection) => this.#establish(attempt, connection),
        onDatagram: (connection, payload, length) => {
          if (attempt.over || !carrier.receive(payload, length, connection)) this.unclaimedDatagrams++;
        },
        onFlushed: (connection) => carrier.handleFlushed(connection),
        onGone: (connection) => carrier.removeOuter(connection),
        onDelivered: (connection) => {
          if (attempt.heardBefore !== undefined) this.#checkHeard(attempt, connection);
          carrier.endBatch();
          this.pump();
        },
        onFailed: (how) => this.#fail(attempt, how),
      }),
    };
    this.#attempts.set(link, attempt);
    this.#track(attempt.dial.start());
  }

  #establish(attempt: Attempt, connection: EndpointConnection): void {
    const { machine } = this.#init;
    const { link } = attempt;
    const stream = connection.openStream();
    if (!stream) return this.#fail(attempt, { code: 'protocol_error', reason: 'the relay allows no control stream' });
    attempt.control = new ControlChannel(stream, {
      onMessage: (message) => {
        if (message.type === 'helloAck' && message.addressKey) connection.peer.answerChallenges(message.addressKey);
        machine.handleControl(link, message, performance.now());
      },
      onFault: (fault) => machine.handleControlFault(link, fault, performance.now()),
      onControlEnd: (code) => this.#fail(attempt, { code, reason: 'the relay ended the control stream' }),
    });
    machine.handleEstablished(link, performance.now());
    this.pump();
  }

  /**
   * By QUIC's own frame, which the relay's QUIC acknowledges: a message and its answer on the control stream would be three
   * packets instead of two, and more work at the relay than all else that an idle client costs. It has one thread:
   * what acknowledges is what relays.
   */
  #ping(attempt: Attempt | undefined, renewsId: boolean): void {
    const connection = attempt?.dial.connection;
    if (!connection) return;
    attempt.heardBefore = connection.quic.packetsReceived();
    if (renewsId) connection.peer.renewDestinationId();
    connection.ping();
  }

  #checkHeard(attempt: Attempt, { quic }: EndpointConnection): void {
    if (quic.packetsReceived() === attempt.heardBefore) return; // junk, which QUIC did not take
    attempt.heardBefore = undefined;
    const path = quic.activePath();
    if (path) this.#init.machine.handleHeard(attempt.link, path.rttMs, performance.now());
  }

  /** The attempt is over; the machine decides what comes next. */
  #fail(attempt: Attempt, how: Disconnection): void {
    if (attempt.over) return;
    this.#retire(attempt, how.code);
    this.#init.machine.handleDisconnected(attempt.link, how, performance.now());
    if (!this.#stopped) this.pump();
  }

  #retire(attempt: Attempt, code: FailureCode, reason?: string): void {
    if (attempt.over) return;
    attempt.over = true;
    attempt.control?.stop();
    if (this.#attempts.get(attempt.link) === attempt) this.#attempts.delete(attempt.link);
    this.#track(attempt.dial.end(code, reason));
  }

  /** `stop` waits for it. */
  #track(work: Promise<void>): void {
    this.#pending.add(work);
    void work.then(() => this.#pending.delete(work));
  }
}

type LinkAction = Exclude<LinkCommand, EventCommand>;

const isLinkAction = <Extra extends Command>(command: LinkCommand | Extra): command is LinkAction => CONNECTION_COMMANDS.has(command.kind);
