// Drives a client machine (agent or connector): dials the relay it asks for, carries its control
// messages, and feeds relayed datagrams to the session carrier. One UDP socket per dial, so that a
// new attempt also gets a new port and NAT binding. Decisions are the machine's.

import { performance } from 'node:perf_hooks';
import type { SessionCarrier } from '../carrier/session-carrier.js';
import { failureMeaning, type FailureCode } from '../failure-codes.js';
import { relayDnsName, type Identity } from '../identity.js';
import { readCertificateIdentity } from '../config/certificate-identity.js';
import type { ClientMachine } from '../machine/client/client-machine.js';
import type { Command } from '../machine/client/command-queue.js';
import type { LinkCommand } from '../machine/client/link-types.js';
import { ControlChannel } from '../quic/control-channel.js';
import type { ConnectionEnd } from '../quic/connection-end.js';
import { Endpoint } from '../quic/endpoint.js';
import type { ConnectionHandler, EndpointConnection } from '../quic/endpoint-connection.js';
import type { QuicConfig } from '../quic/port.js';
import { formatAddress, type DatagramSocket, type SocketAddress } from '../udp/datagram-socket.js';
import { anyAddressFor, resolveTarget, type RelayAddress } from './relay-address.js';

export type EventCommand = Extract<LinkCommand, { kind: 'event' }>;

export interface RelayDriverInit<Extra extends Command> {
  readonly machine: ClientMachine<Extra>;
  readonly identity: Identity;
  readonly relays: readonly RelayAddress[];
  readonly config: QuicConfig;
  readonly carrier: SessionCarrier;
  readonly openSocket: (address: SocketAddress) => Promise<DatagramSocket>;
  /** Commands that are not the link's: sessions, and events for the log. */
  readonly perform: (command: Extra | EventCommand) => void;
}

interface Attempt {
  readonly relay: RelayAddress;
  endpoint?: Endpoint;
  connection?: EndpointConnection;
  control?: ControlChannel;
  over: boolean;
}

export class RelayDriver<Extra extends Command> {
  /** Datagrams from the relay that no session of ours claims. */
  unclaimedDatagrams = 0;
  readonly #init: RelayDriverInit<Extra>;
  readonly #pending = new Set<Promise<void>>();
  #attempt: Attempt | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(init: RelayDriverInit<Extra>) {
    this.#init = init;
  }

  /** The connection that carries sessions now. */
  get outer(): EndpointConnection | undefined {
    return this.#attempt?.connection;
  }

  /** Performs what the machine has asked for and arms its next deadline. Call it after every input to the machine. */
  pump(): void {
    const { machine, perform } = this.#init;
    for (let command; (command = machine.nextCommand()); ) {
      if (isLinkAction(command)) this.#performLink(command);
      else perform(command);
    }
    this.#armTimer();
  }

  /** Leaves the relay and releases every socket and timer. The machine was stopped before. */
  async stop(): Promise<void> {
    this.pump();
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#attempt) this.#retire(this.#attempt, 'no_error');
    await Promise.all(this.#pending);
  }

  #performLink(command: LinkAction): void {
    switch (command.kind) {
      case 'dial':
        this.#track(this.#dial(this.#init.relays[command.relay]!));
        break;
      case 'send':
        this.#attempt?.control?.send(command.message);
        break;
      case 'disconnect':
        this.#attempt?.connection?.close(command.code, command.reason);
        if (this.#attempt) this.#retire(this.#attempt, command.code);
        break;
    }
  }

  async #dial(relay: RelayAddress): Promise<void> {
    if (this.#attempt) this.#retire(this.#attempt, 'no_error');
    const attempt: Attempt = { relay, over: false };
    this.#attempt = attempt;
    const peer = await resolveTarget(relay);
    if (attempt.over) return;
    if (!peer) return this.#fail(attempt, 'relay_unreachable', `the name ${relay.host} does not resolve`);
    try {
      const socket = await this.#init.openSocket(anyAddressFor(peer));
      if (attempt.over) return await socket.close();
      attempt.endpoint = new Endpoint({ socket });
      const serverName = relayDnsName(relay.name, this.#init.identity.trustDomain);
      attempt.connection = attempt.endpoint.connect(peer, serverName, this.#init.config, this.#handlerOf(attempt, peer));
    } catch (error) {
      this.#fail(attempt, 'relay_unreachable', (error as Error).message);
    }
  }

  #handlerOf(attempt: Attempt, peer: SocketAddress): ConnectionHandler {
    const { machine, carrier } = this.#init;
    return {
      onEstablished: (connection) => {
        const refusal = this.#checkRelay(connection, attempt.relay);
        if (refusal) return this.#fail(attempt, refusal.code, refusal.reason);
        const stream = connection.openStream();
        if (!stream) return this.#fail(attempt, 'protocol_error', 'the relay allows no control stream');
        attempt.control = new ControlChannel(stream, {
          onMessage: (message) => machine.handleControl(message, performance.now()),
          onFault: (fault) => machine.handleControlFault(fault, performance.now()),
          onControlEnd: (code) => this.#fail(attempt, code, 'the relay ended the control stream'),
        });
        machine.handleEstablished(performance.now());
        this.pump();
      },
      onDatagram: (_connection, payload, length) => {
        if (attempt.over || !carrier.receive(payload, length)) this.unclaimedDatagrams++;
      },
      onDelivered: () => {
        carrier.endBatch();
        this.pump();
      },
      onEnd: (_connection, end) => {
        const { code, reason } = describeEnd(end, attempt, peer);
        this.#fail(attempt, code, reason);
      },
    };
  }

  /** TLS has checked CA and name; the role is ours to check. */
  #checkRelay(connection: EndpointConnection, relay: RelayAddress): { code: FailureCode; reason: string } | undefined {
    const read = readCertificateIdentity(connection.quic.peerCertificate() ?? new Uint8Array(0));
    if (!read.ok) return { code: read.code, reason: `the relay's certificate: ${read.reason}` };
    const { role, name, trustDomain } = read.identity;
    if (role === 'relay' && name === relay.name && trustDomain === this.#init.identity.trustDomain) return undefined;
    return { code: 'role_not_allowed', reason: `the certificate is not that of relay ${relay.name}` };
  }

  /** The attempt is over; the machine decides what comes next. */
  #fail(attempt: Attempt, code: FailureCode, reason: string): void {
    if (attempt.over) return;
    attempt.connection?.close(code);
    this.#retire(attempt, code);
    this.#init.machine.handleDisconnected({ code, reason }, performance.now());
    if (!this.#stopped) this.pump();
  }

  #retire(attempt: Attempt, code: FailureCode): void {
    if (attempt.over) return;
    attempt.over = true;
    attempt.control?.stop();
    if (this.#attempt === attempt) this.#attempt = undefined;
    const { endpoint } = attempt;
    if (!endpoint) return;
    // After the current turn, so that the endpoint is not closed under its own feet.
    this.#track(new Promise<void>((resolve) => setImmediate(() => void endpoint.close(code).then(resolve))));
  }

  /** `stop` waits for it. */
  #track(work: Promise<void>): void {
    this.#pending.add(work);
    void work.then(() => this.#pending.delete(work));
  }

  #armTimer(): void {
    clearTimeout(this.#timer);
    const at = this.#init.machine.pollTimeout();
    if (at === undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#init.machine.handleTimeout(performance.now());
      this.pump();
    }, Math.max(0, Math.ceil(at - performance.now())));
  }
}

type LinkAction = Exclude<LinkCommand, EventCommand>;

const LINK_ACTIONS: ReadonlySet<string> = new Set(['dial', 'send', 'disconnect'] satisfies LinkAction['kind'][]);

const isLinkAction = <Extra extends Command>(command: LinkCommand | Extra): command is LinkAction => LINK_ACTIONS.has(command.kind);

/** Says which relay, where, and whose certificate: a code alone leaves a person looking on the wrong side. */
const describeEnd = (end: ConnectionEnd, attempt: Attempt, peer: SocketAddress): { code: FailureCode; reason: string } => {
  const relay = `relay ${attempt.relay.name} at ${formatAddress(peer)}`;
  const { code, by } = end;
  if (by === 'timeout' && !attempt.control) return { code: 'relay_unreachable', reason: `no answer from ${relay} (UDP)` };
  if (!code.startsWith('certificate_')) return { code, reason: end.reason };
  const whose = by === 'local' ? `the certificate of ${relay} was refused` : `${relay} refused this side's certificate`;
  return { code, reason: `${whose}: ${failureMeaning(code)}` };
};
