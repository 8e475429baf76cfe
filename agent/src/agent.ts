// The agent as a whole: one link to a relay, one inner QUIC endpoint, one connection per service.
// Where flows come from (listeners, standard input) is the callers' business.

import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import {
  AgentMachine,
  createAnswerGate,
  createQuicConfig,
  encodePreamble,
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
  type AgentSessionCommand,
  type EventCommand,
  type EndpointConnection,
  type FailureCode,
  type FlowKind,
  type Logger,
  type QuicStream,
  type RegistrationKey,
  type RelayAddress,
  type StreamGate,
  type TlsMaterial,
  type UdpFlowTable,
  type UdpMode,
} from '@ztna/protocol';
import { ServiceConnection } from './service-connection.js';

export interface AgentInit {
  readonly tls: TlsMaterial;
  readonly registrationKey: RegistrationKey;
  readonly relays: readonly RelayAddress[];
  readonly udp: UdpMode;
  readonly log: Logger;
  /** Report the first refusal at once instead of trying on: for one-shot commands. */
  readonly failFast: boolean;
}

export interface FlowHandler {
  /** The flow's preamble is on its way. Whoever takes the stream passes its first bytes through `gate`. */
  onOpen(stream: QuicStream, gate: StreamGate, connection: EndpointConnection, udpFlows: UdpFlowTable): void;
  /** The connector accepted the flow. */
  onAccepted?(): void;
  /** No flow, or not any more: the service, the relay or the connector said no. Called at most once. */
  onRefused(code: FailureCode, reason: string): void;
}

export class Agent {
  readonly #init: AgentInit;
  readonly #machine: AgentMachine;
  readonly #driver: RelayDriver<AgentSessionCommand>;
  readonly #carrier = new SessionCarrier();
  readonly #inner: Endpoint;
  readonly #innerConfig;
  readonly #services = new Map<string, ServiceConnection>();
  readonly #requests = new Map<number, string>();
  #onReady: (() => void) | undefined;

  constructor(init: AgentInit) {
    this.#init = init;
    const { tls, relays, registrationKey, udp } = init;
    const pems = { caPem: tls.caPem, certificatePem: tls.certificatePem, keyPem: tls.keyPem };
    this.#innerConfig = createQuicConfig({ ...INNER_PROFILE, ...pems, maxStreams: 0 });
    this.#inner = new Endpoint({ socket: this.#carrier });
    this.#machine = new AgentMachine({
      software: SOFTWARE,
      relays: relays.map((relay) => ({ trustDomain: tls.identity.trustDomain, name: relay.name, address: formatAddress(relay) })),
      failFast: init.failFast,
      random: Math.random,
      wallClock: Date.now,
      mintToken: (relay, now) =>
        mintToken(
          { identity: tls.identity, services: [], audience: formatIdentity(relay), binding: tls.fingerprint },
          registrationKey,
          { now, randomBytes },
        ),
    });
    this.#driver = new RelayDriver<AgentSessionCommand>({
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
    for (const service of this.#services.values()) service.close('no_error');
    await this.#inner.close('no_error');
    this.#machine.stop(performance.now());
    await this.#driver.stop();
  }

  openFlow(service: string, kind: FlowKind, handler: FlowHandler): void {
    let refused = false;
    const refuse = (code: FailureCode, reason: string): void => {
      if (refused) return;
      refused = true;
      handler.onRefused(code, reason);
    };
    this.#serviceConnection(service).openFlow({
      onRefused: refuse,
      onOpen: (stream, connection, udpFlows) => {
        const gate = createAnswerGate((refusal) => {
          if (refusal) refuse(refusal.code, refusal.reason);
          else handler.onAccepted?.();
        });
        stream.lead(encodePreamble({ v: 1, kind, service }));
        handler.onOpen(stream, gate, connection, udpFlows);
      },
    });
  }

  #serviceConnection(name: string): ServiceConnection {
    let service = this.#services.get(name);
    if (!service) {
      service = new ServiceConnection({
        service: name,
        trustDomain: this.#init.tls.identity.trustDomain,
        inner: this.#inner,
        config: this.#innerConfig,
        carrier: this.#carrier,
        log: this.#init.log,
        openSession: (wanted) => {
          this.#requests.set(this.#machine.openSession(wanted, performance.now()), wanted);
          this.#driver.pump();
        },
        closeSession: (session) => {
          this.#machine.closeSession(session);
          this.#driver.pump();
        },
      });
      this.#services.set(name, service);
    }
    return service;
  }

  #perform(command: AgentSessionCommand | EventCommand): void {
    switch (command.kind) {
      case 'event':
        return this.#report(command.event);
      case 'sessionOpened': {
        const service = this.#takeRequest(command.request);
        const { outer } = this.#driver;
        if (service && outer) service.handleSessionOpened(command.session, command.connector, outer);
        return;
      }
      case 'sessionFailed':
        this.#init.log.warn('session_refused', { service: command.service, code: command.code, reason: command.reason });
        return this.#takeRequest(command.request)?.handleSessionFailed(command.code, command.reason);
      case 'sessionClosed':
        for (const service of this.#services.values()) service.handleSessionClosed(command.session, command.code);
    }
  }

  #takeRequest(request: number): ServiceConnection | undefined {
    const service = this.#requests.get(request);
    this.#requests.delete(request);
    return service === undefined ? undefined : this.#services.get(service);
  }

  #report(event: EventCommand['event']): void {
    const { level, name, ...fields } = event;
    this.#init.log[level](name, fields);
    if (name === 'registered') {
      this.#onReady?.();
      this.#onReady = undefined;
    }
  }
}
