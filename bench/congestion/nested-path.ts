// A whole relay path in one process: agent, switch and connector, both layers of QUIC, with any congestion control in
// either layer. The agent's link has loss, delay and a rate; the connector's has neither. Owns the set-up; what is
// measured on it is nested-loops.ts.

import { createAuthority, issueCertificate, type IssuedCertificate } from '@ztna/certs';
import {
  createQuicConfig, Endpoint, INNER_PROFILE, OUTER_PROFILE, OutboundQueue, QueueBudget, SessionCarrier,
  type ConnectionHandler, type DatagramSocket, type EndpointConnection, type QuicConfig, type QuicConfigInit,
} from '@ztna/protocol';
import { LossyNetwork, ShapedSocket } from '@ztna/protocol/testing';

export type CongestionControl = QuicConfigInit['congestionControl'];

export interface PathInit {
  readonly outer: CongestionControl;
  readonly inner: CongestionControl;
  readonly seed: number;
  /** Of a packet on the agent's link, 0 to 1, each way. */
  readonly loss: number;
  /** Of the agent's link, there and back. */
  readonly roundTripMs: number;
  /** Towards the agent. */
  readonly bytesPerSecond: number;
  /** Packets that wait for that rate; more are lost. */
  readonly buffer: number;
}

/** The two ends of an established inner connection. */
export interface NestedPath {
  readonly agent: EndpointConnection;
  readonly connector: EndpointConnection;
  close(): Promise<void>;
}

type Handler = Partial<ConnectionHandler>;

const SESSION = { slot: 1, tag: 1 };
const RELAY_NAME = 'relay-1.relay.corp.example';
const SERVICE_NAME = 'web.svc.corp.example';
const authority = createAuthority({ trustDomain: 'corp.example' });
const certificates = {
  relay: issueCertificate(authority, { role: 'relay', name: 'relay-1' }),
  connector: issueCertificate(authority, { role: 'connector', name: 'c1', services: ['web'] }),
  agent: issueCertificate(authority, { role: 'agent', name: 'alice' }),
};

const configOf = (certificate: IssuedCertificate, profile: typeof INNER_PROFILE, congestionControl: CongestionControl): QuicConfig =>
  createQuicConfig({
    ...profile,
    congestionControl,
    caPem: Buffer.from(authority.certificatePem),
    certificatePem: Buffer.from(certificate.certificatePem),
    keyPem: Buffer.from(certificate.keyPem),
  });

const full = (handler: Handler): ConnectionHandler => ({ onEstablished: () => undefined, onEnd: () => undefined, ...handler });

/** @returns the client's connection and the server's, both established */
const connect = async (client: Endpoint, listen: (handler: ConnectionHandler) => Endpoint, name: string, config: QuicConfig, near: Handler, far: Handler) => {
  let server: Endpoint | undefined;
  const accepted = new Promise<EndpointConnection>((resolve) => (server = listen(full({ ...far, onEstablished: resolve }))));
  const made = new Promise<EndpointConnection>((resolve) => client.connect(server!.local, name, config, full({ ...near, onEstablished: resolve })));
  return { near: await made, far: await accepted, server: server! };
};

const listenOn = (socket: DatagramSocket, config: QuicConfig) => (handler: ConnectionHandler): Endpoint =>
  new Endpoint({ socket, server: { config, retry: false, maxConnections: 8, accept: () => handler } });

/** One of the relay's two connections, as the switch sees it. */
class Port {
  peer: Port | undefined;
  readonly #budget: QueueBudget;
  #queue: OutboundQueue | undefined;

  constructor(budget: QueueBudget) {
    this.#budget = budget;
  }

  readonly handler: Handler = {
    onDatagram: (_connection, payload, length) => this.peer?.forward(payload.subarray(0, length)),
    onFlushed: () => this.#queue?.handleFlushed(performance.now()),
  };

  attach(link: EndpointConnection): void {
    const counter = { countForwarded: () => undefined, countDropped: () => undefined };
    this.#queue = new OutboundQueue({ link, counter, budget: this.#budget });
  }

  forward(datagram: Buffer): void {
    if (this.#queue?.isOpen) this.#queue.pass(datagram);
    else this.#queue?.wait(1, datagram, performance.now());
  }
}

/** @param ends what the ends of the inner connection do */
export const openNestedPath = async (init: PathInit, ends: { agent?: Handler; connector?: Handler }): Promise<NestedPath> => {
  const { outer, inner, seed, loss, roundTripMs } = init;
  const access = new LossyNetwork({ seed, loss, delayMs: roundTripMs / 2 });
  const backbone = new LossyNetwork({ seed });
  const carriers = { agent: new SessionCarrier(), connector: new SessionCarrier() };
  const carried = (carrier: SessionCarrier): Handler => ({
    onDatagram: (connection, payload, length) => void carrier.receive(payload, length, connection),
    onDelivered: () => carrier.endBatch(),
    onFlushed: (connection) => carrier.handleFlushed(connection),
  });
  const budget = new QueueBudget();
  const ports = { agent: new Port(budget), connector: new Port(budget) };
  ports.agent.peer = ports.connector;
  ports.connector.peer = ports.agent;

  const agentSocket = access.openSocket();
  const toAgent = new ShapedSocket(access.openSocket(), init);
  toAgent.shape(agentSocket.local.port);
  const relayConfig = configOf(certificates.relay, OUTER_PROFILE, outer);
  const agentOuter = new Endpoint({ socket: agentSocket });
  const connectorOuter = new Endpoint({ socket: backbone.openSocket() });
  const last = await connect(agentOuter, listenOn(toAgent, relayConfig), RELAY_NAME, configOf(certificates.agent, OUTER_PROFILE, outer), carried(carriers.agent), ports.agent.handler);
  const first = await connect(connectorOuter, listenOn(backbone.openSocket(), relayConfig), RELAY_NAME, configOf(certificates.connector, OUTER_PROFILE, outer), carried(carriers.connector), ports.connector.handler);
  ports.agent.attach(last.far);
  ports.connector.attach(first.far);
  carriers.connector.addSession(SESSION, first.near);
  const peer = carriers.agent.addSession(SESSION, last.near);

  const agentInner = new Endpoint({ socket: carriers.agent });
  let connectorInner: Endpoint | undefined;
  const listen = listenOn(carriers.connector, configOf(certificates.connector, INNER_PROFILE, inner));
  const accepted = new Promise<EndpointConnection>((resolve) => (connectorInner = listen(full({ ...ends.connector, onEstablished: resolve }))));
  const agent = await new Promise<EndpointConnection>((resolve) =>
    agentInner.connect(peer, SERVICE_NAME, configOf(certificates.agent, INNER_PROFILE, inner), full({ ...ends.agent, onEstablished: resolve })),
  );
  const connector = await accepted;
  const close = async (): Promise<void> => {
    await Promise.all([agentInner, connectorInner!, agentOuter, connectorOuter, last.server, first.server].map((endpoint) => endpoint.close('no_error')));
  };
  return { agent, connector, close };
};
