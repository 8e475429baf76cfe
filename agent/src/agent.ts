// The agent as a whole: one link to a relay, one inner QUIC endpoint, one connection per service.
// Where flows come from (listeners, standard input) is the callers' business.

import { performance } from 'node:perf_hooks';
import {
  AgentMachine,
  createAnswerGate,
  createQuicConfig,
  encodePreamble,
  Endpoint,
  FlowLedger,
  INNER_PROFILE,
  quicPems,
  RelayLink,
  reportHandlerErrors,
  SessionCarrier,
  type AgentSessionCommand,
  type ClientSettings,
  type Credentials,
  type QuicConfig,
  type EndpointConnection,
  type FailureCode,
  type FlowKind,
  type FlowRecord,
  type Logger,
  type QuicStream,
  type StatusCounts,
  type StreamGate,
  type UdpFlowTable,
  type UdpMode,
} from '@ztna/protocol';
import { ServiceConnection, type SessionAnswer } from './service-connection.js';

/** From a flow's preamble to its answer: the 10 s a connector gives its backend, and some round trips. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface AgentInit extends ClientSettings {
  readonly udp: UdpMode;
  readonly log: Logger;
  /** Services whose flows are counted by name: those of the configuration. Default: none. */
  readonly services?: Iterable<string>;
  /** Report the first refusal at once instead of trying on: for one-shot commands. */
  readonly failFast: boolean;
}

export interface FlowHandler {
  /** The flow's preamble is on its way. Whoever takes the stream passes its first bytes through `gate`, and ends the record. */
  onOpen(stream: QuicStream, gate: StreamGate, record: FlowRecord, connection: EndpointConnection, udpFlows: UdpFlowTable): void;
  /** The connector accepted the flow. */
  onAccepted?(): void;
  /** No flow, or not any more: the service, the relay or the connector said no. Called at most once. */
  onRefused(code: FailureCode, reason: string): void;
}

export class Agent {
  readonly flows: FlowLedger;
  readonly #init: AgentInit;
  readonly #link: RelayLink<AgentSessionCommand, AgentMachine>;
  readonly #carrier = new SessionCarrier();
  readonly #inner: Endpoint;
  #innerConfig: QuicConfig;
  readonly #services = new Map<string, ServiceConnection>();
  readonly #requests = new Map<number, SessionAnswer>();

  constructor(init: AgentInit) {
    this.#init = init;
    this.flows = new FlowLedger(init.services ?? []);
    this.#innerConfig = innerConfig(init);
    this.#inner = new Endpoint({ socket: this.#carrier, onHandlerError: reportHandlerErrors(init.log) });
    this.#link = new RelayLink({
      client: init,
      udp: init.udp,
      services: [],
      carrier: this.#carrier,
      log: init.log,
      createMachine: (shared) => new AgentMachine({ ...shared, failFast: init.failFast }),
      perform: (command) => this.#perform(command),
    });
  }

  /** Registration, sessions, and how they went. */
  get link(): Pick<RelayLink<AgentSessionCommand, AgentMachine>, 'machine' | 'outcomes'> {
    return this.#link;
  }

  /** Starts dialing; returns at once. */
  start(): void {
    this.#link.start();
  }

  /**
   * Takes over reloaded files, of the same identity: certificate, CA and registration key for connections to come. The link to
   * the relay is made anew and flows move along; inner connections that stand stay.
   */
  apply(client: Credentials): { readonly linkRenewed: boolean } {
    this.#innerConfig = innerConfig(client);
    return { linkRenewed: this.#link.apply(client) };
  }

  /** What it holds now; `paths` are sessions with an address of their own in the inner endpoint's network. */
  status(): StatusCounts {
    const { machine } = this.#link;
    let flows = 0;
    for (const service of this.#services.values()) flows += service.flowCount;
    return {
      registered: Number(machine.registered),
      sessions: machine.sessionCount,
      pendingOpens: machine.pendingCount,
      paths: this.#carrier.pathCount,
      innerConnections: this.#inner.liveConnectionCount,
      flows,
    };
  }

  /** Ends every flow and leaves the relay in good order. */
  async stop(): Promise<void> {
    for (const service of this.#services.values()) service.close('no_error');
    await this.#inner.close('no_error');
    await this.#link.stop();
  }

  openFlow(service: string, kind: FlowKind, handler: FlowHandler): void {
    const record = this.flows.begin(service, kind);
    let refused = false;
    const refuse = (code: FailureCode, reason: string): void => {
      if (refused) return;
      refused = true;
      record.end(code);
      handler.onRefused(code, reason);
    };
    this.#serviceConnection(service).openFlow({
      onRefused: refuse,
      onOpen: (stream, connection, udpFlows) => {
        const packets = connection.quic.packetsReceived();
        const timer = setTimeout(() => {
          if (stream.isDead) return;
          stream.abort('connector_timeout');
          refuse('connector_timeout', `the connector has not answered within ${ANSWER_TIMEOUT_MS / 1000} s`);
          // Nothing at all has come since: the connection is dead, and not only this flow slow.
          if (connection.quic.packetsReceived() === packets) connection.abandon('connection_lost');
        }, ANSWER_TIMEOUT_MS).unref();
        const gate = createAnswerGate((refusal) => {
          clearTimeout(timer);
          if (refusal) refuse(refusal.code, refusal.reason);
          else handler.onAccepted?.();
        });
        stream.lead(encodePreamble({ v: 1, kind, service }));
        handler.onOpen(stream, gate, record, connection, udpFlows);
      },
    });
  }

  #serviceConnection(name: string): ServiceConnection {
    let service = this.#services.get(name);
    if (!service) {
      const currentConfig = (): QuicConfig => this.#innerConfig;
      service = new ServiceConnection({
        service: name,
        trustDomain: this.#init.tls.identity.trustDomain,
        inner: this.#inner,
        get config() {
          return currentConfig();
        },
        carrier: this.#carrier,
        log: this.#init.log,
        openSession: (wanted, answer) => {
          if (!this.#link.machine.registered) this.#init.log.info('waiting_for_relay', { service: wanted, reason: this.#describeWait() });
          this.#requests.set(this.#link.machine.openSession(wanted, performance.now()), answer);
          this.#link.pump();
        },
        closeSession: (link, session) => {
          this.#link.machine.closeSession(link, session, performance.now());
          this.#link.pump();
        },
        currentLink: () => this.#link.machine.link,
        describeWait: () => this.#describeWait(),
      });
      this.#services.set(name, service);
    }
    return service;
  }

  #perform(command: AgentSessionCommand): void {
    switch (command.kind) {
      case 'sessionOpened': {
        const { link, session, connector } = command;
        const outer = this.#link.outer(link);
        const answer = this.#takeRequest(command.request);
        if (outer) answer?.onOpened({ link, session, connector, outer });
        else answer?.onFailed('connection_lost', 'the relay was lost again'); // its sessionClosed is next
        return;
      }
      case 'sessionFailed':
        this.#init.log.warn('session_refused', { service: command.service, code: command.code, reason: command.reason });
        return this.#takeRequest(command.request)?.onFailed(command.code, command.reason);
      case 'sessionClosed':
        for (const service of this.#services.values()) service.handleSessionClosed(command.link, command.session, command.code);
        return;
      case 'relayDraining':
        for (const service of this.#services.values()) service.handleDraining(command.link);
        return;
      case 'relayMoved':
        for (const service of this.#services.values()) service.handleMoved();
    }
  }

  #takeRequest(request: number): SessionAnswer | undefined {
    const answer = this.#requests.get(request);
    this.#requests.delete(request);
    return answer;
  }

  /** What a session waits for, as a sentence goes on after "waits for". */
  #describeWait(): string {
    const { registered, drainDeadline, relay, lastFailure } = this.#link.machine;
    const where = `relay ${relay.name}${relay.address === undefined ? '' : ` at ${relay.address}`}`;
    if (drainDeadline !== undefined) return `another relay: ${where} is shutting down`;
    if (registered) return `the answer of ${where}`;
    return `a relay: not connected to ${where}${lastFailure ? `; last failure: ${lastFailure.reason}` : ''}`;
  }
}

const innerConfig = ({ tls }: Pick<Credentials, 'tls'>): QuicConfig => createQuicConfig({ ...INNER_PROFILE, ...quicPems(tls), maxStreams: 0 });
