// A loopback UDP port that leads to one service: each client address becomes one flow, until it has
// been idle for a while. Replies go back to the client whose flow they came on, and to no other.

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { performance } from 'node:perf_hooks';
import { UdpFlow, type EndpointConnection, type FlowRecord, type QuicStream, type StreamGate, type UdpFlowTable } from '@ztna/protocol';
import type { Agent } from './agent.js';
import { listenError, type Listener, type ListenerInit } from './tcp-listener.js';

/** As long as most NATs keep a UDP mapping that has seen replies (RFC 4787 §4.3 asks for 2 minutes, DNS needs seconds). */
const UDP_FLOW_IDLE_MS = 60_000;
const SWEEP_INTERVAL_MS = 5_000;
/** Clients of one listener at once; the flows of a listener share its connector's limit of 1024. */
const MAX_CLIENTS = 1024;
/** The kernel charges over 1 KiB for a small datagram: its default of 208 KiB loses part of a burst of 200. Capped at net.core.rmem_max. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Payloads held while a flow is being opened; UDP promises no more. */
const MAX_HELD_PAYLOADS = 64;

/** @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed` */
export const openUdpListener = (init: ListenerInit): Promise<Listener> =>
  new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIPv6(init.listen.host) ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      socket.close();
      reject(listenError(init.listen, 'UDP', cause));
    });
    socket.bind(init.listen.port, init.listen.host, () => {
      socket.removeAllListeners('error');
      resolve(new UdpListener(init, socket));
    });
  });

interface Client {
  readonly host: string;
  readonly port: number;
  lastActive: number;
  bytesSent: number;
  bytesReceived: number;
  flow?: UdpFlow;
  /** What was sent before the connector accepted the flow; undefined from then on. */
  held: Buffer[] | undefined;
}

class UdpListener implements Listener {
  readonly local;
  readonly #service: string;
  readonly #agent: Agent;
  readonly #log;
  readonly #socket: Socket;
  readonly #clients = new Map<string, Client>();
  readonly #sweep: NodeJS.Timeout;

  constructor({ agent, service, log }: ListenerInit, socket: Socket) {
    this.#agent = agent;
    this.#service = service;
    this.#log = log;
    this.#socket = socket;
    const { address, port } = socket.address();
    this.local = { host: address, port };
    // A client that went away answers with ICMP; its flow idles out.
    socket.on('error', (error) => log.debug('udp_socket_error', { service, reason: error.message }));
    socket.on('message', (payload, from) => this.#receive(payload, from.address, from.port));
    this.#sweep = setInterval(() => this.#closeIdle(), SWEEP_INTERVAL_MS);
  }

  close(): Promise<void> {
    clearInterval(this.#sweep);
    for (const client of this.#clients.values()) client.flow?.close();
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #receive(payload: Buffer, host: string, port: number): void {
    const key = `${host} ${port}`;
    const client = this.#clients.get(key) ?? this.#addClient(key, host, port);
    if (!client) return;
    client.lastActive = performance.now();
    client.bytesSent += payload.length;
    if (!client.held) client.flow?.send(payload);
    else if (client.held.length < MAX_HELD_PAYLOADS) client.held.push(payload);
  }

  #addClient(key: string, host: string, port: number): Client | undefined {
    if (this.#clients.size >= MAX_CLIENTS) return undefined;
    const client: Client = { host, port, lastActive: performance.now(), bytesSent: 0, bytesReceived: 0, held: [] };
    this.#clients.set(key, client);
    this.#agent.openFlow(this.#service, 'udp', {
      onOpen: (stream, gate, record, connection, udpFlows) => this.#startFlow(key, client, stream, gate, record, connection, udpFlows),
      onAccepted: () => {
        // Not before: datagrams may overtake the preamble, and a connector drops those of unknown flows.
        const held = client.held ?? [];
        client.held = undefined;
        for (const payload of held) client.flow?.send(payload);
      },
      onRefused: (code, reason) => {
        this.#log.warn('flow_refused', { service: this.#service, code, reason });
        this.#clients.delete(key);
      },
    });
    return client;
  }

  #startFlow(key: string, client: Client, stream: QuicStream, gate: StreamGate, record: FlowRecord, connection: EndpointConnection, udpFlows: UdpFlowTable): void {
    record.progress = client;
    const flow = new UdpFlow({
      stream,
      connection,
      gate,
      onPayload: (payload) => {
        client.lastActive = performance.now();
        client.bytesReceived += payload.length;
        this.#socket.send(Buffer.from(payload), client.port, client.host);
      },
      onEnd: (code) => {
        record.end(code);
        udpFlows.remove(flow.id);
        this.#clients.delete(key);
      },
    });
    udpFlows.add(flow);
    client.flow = flow;
  }

  #closeIdle(): void {
    const oldest = performance.now() - UDP_FLOW_IDLE_MS;
    for (const client of this.#clients.values()) if (client.lastActive < oldest) client.flow?.close();
  }
}
