// One flow from an agent to a backend: preamble, the connector's own checks, dialing, then bytes.
//
//   preamble ──► allowed? ──► backend dialed ──► answer {ok} ──► splice (TCP) or datagrams (UDP)
//                   └── answer {error: code} ◄──────┘

import { performance } from 'node:perf_hooks';
import type { Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import {
  abortSocket,
  createPreambleDecoder,
  encodePreambleAnswer,
  failureMeaning,
  splice,
  UdpFlow,
  type EndpointConnection,
  type FailureCode,
  type FlowPreamble,
  type FlowRecord,
  type Identity,
  type Logger,
  type QuicStream,
  type UdpFlowTable,
} from '@ztna/protocol';
import { dialTcpBackend, dialUdpBackend } from './backend.js';
import type { ConnectorStats } from './connector-stats.js';
import { isAllowed, type ServedService } from './service.js';

/** A preamble travels in the first packet of its stream; one that never comes holds a flow's place. */
const PREAMBLE_TIMEOUT_MS = 10_000;
/** Longer than the agent's 60 s, so that the side that knows the client decides. */
const UDP_IDLE_MS = 90_000;
const READ_BYTES = 4096;

export interface InnerFlowInit {
  readonly stream: QuicStream;
  readonly connection: EndpointConnection;
  readonly udpFlows: UdpFlowTable;
  readonly agent: Identity;
  readonly service: ServedService;
  readonly stats: ConnectorStats;
  readonly log: Logger;
  /** Called once, however the flow ends. */
  readonly onDone: () => void;
}

export class InnerFlow {
  readonly #init: InnerFlowInit;
  readonly #record: FlowRecord;
  #timer: NodeJS.Timeout | undefined;
  #done = false;

  constructor(init: InnerFlowInit) {
    this.#init = init;
    this.#record = init.stats.flows.begin(init.service.name, init.service.protocol);
  }

  start(): void {
    const { stream } = this.#init;
    this.#timer = setTimeout(() => this.#refuse('preamble_malformed', 'no preamble'), PREAMBLE_TIMEOUT_MS);
    const decoder = createPreambleDecoder();
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    stream.handler = {
      onWritable: () => undefined,
      onReset: (code) => this.#finish(code),
      onReadable: () => {
        const count = stream.read(chunk);
        const decoded = count > 0 ? decoder.push(chunk.subarray(0, count)) : undefined;
        if (decoded?.ok) return this.#handlePreamble(decoded.value, Buffer.from(decoded.rest));
        if (decoded) return this.#refuse(decoded.code, decoded.reason);
        if (stream.readFinished) this.#refuse('preamble_malformed', 'the stream ended before its preamble');
      },
    };
  }

  #handlePreamble(preamble: FlowPreamble, early: Buffer): void {
    clearTimeout(this.#timer);
    const { service, agent, stream } = this.#init;
    if (preamble.service !== service.name) return this.#refuse('service_mismatch', failureMeaning('service_mismatch'));
    if (!isAllowed(service, agent)) return this.#refuse('agent_not_allowed', failureMeaning('agent_not_allowed'));
    if (preamble.kind !== service.protocol) return this.#refuse('protocol_mismatch', `${service.name} is a ${service.protocol} service`);
    // Until the backend answers nothing more is read: flow control holds the agent back.
    stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: (code) => this.#finish(code) };
    void (service.protocol === 'tcp' ? this.#runTcp(early) : this.#runUdp(early));
  }

  async #runTcp(early: Buffer): Promise<void> {
    const { service, stream, log } = this.#init;
    const from = performance.now();
    const dialed = await dialTcpBackend(service.backend);
    if (dialed.ok) this.#init.stats.observeConnect(service.name, (performance.now() - from) / 1000);
    if (!dialed.ok) return this.#refuse(dialed.code, dialed.reason);
    const { socket } = dialed;
    // The agent may have given up meanwhile.
    if (this.#done || stream.isDead) return abortSocket(socket);
    this.#accept();
    this.#record.progress = splice({ stream, early, local: localEnd(socket), onDone: ({ code, bytesSent, bytesReceived }) => {
      log.debug('flow_closed', { service: service.name, ...(code ? { code } : {}), bytesSent, bytesReceived });
      this.#record.end(code, { bytesSent, bytesReceived });
      this.#finish(code);
    } });
  }

  async #runUdp(early: Buffer): Promise<void> {
    const dialed = await dialUdpBackend(this.#init.service.backend);
    if (!dialed.ok) return this.#refuse(dialed.code, dialed.reason);
    if (this.#done || this.#init.stream.isDead) return void dialed.socket.close();
    this.#accept();
    this.#carryUdp(dialed.socket, early);
  }

  #carryUdp(socket: UdpSocket, early: Buffer): void {
    const { stream, connection, udpFlows } = this.#init;
    let lastActive = performance.now();
    const progress = { bytesSent: 0, bytesReceived: 0 };
    this.#record.progress = progress;
    const flow = new UdpFlow({
      stream,
      connection,
      early,
      onPayload: (payload) => {
        lastActive = performance.now();
        progress.bytesReceived += payload.length;
        socket.send(Buffer.from(payload));
      },
      onEnd: (code) => {
        clearInterval(sweep);
        udpFlows.remove(flow.id);
        socket.close();
        this.#finish(code);
      },
    });
    const sweep = setInterval(() => {
      if (performance.now() - lastActive > UDP_IDLE_MS) flow.close('flow_idle');
    }, UDP_IDLE_MS / 4);
    socket.on('message', (payload) => {
      lastActive = performance.now();
      progress.bytesSent += payload.length;
      flow.send(payload);
    });
    // ICMP port unreachable: nobody listens there now. UDP has no connection to end, so the flow stays.
    socket.on('error', (error: NodeJS.ErrnoException) => this.#init.log.debug('backend_error', { reason: error.code }));
    udpFlows.add(flow);
  }

  #accept(): void {
    this.#init.stream.lead(encodePreambleAnswer({ ok: true }));
    this.#init.log.debug('flow_opened', { service: this.#init.service.name });
  }

  #refuse(code: FailureCode, reason: string): void {
    if (this.#done) return;
    refuseFlow(this.#init.stream, code, reason);
    this.#init.log.warn('flow_refused', { service: this.#init.service.name, code, reason });
    this.#finish(code);
  }

  #finish(code: FailureCode | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#record.end(code);
    clearTimeout(this.#timer);
    this.#init.onDone();
  }
}

/** Answers with the code, which ends the stream in good order so that the answer arrives; nothing more is read. */
export const refuseFlow = (stream: QuicStream, code: FailureCode, reason: string): void => {
  stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => undefined };
  stream.lead(encodePreambleAnswer({ error: code, reason }));
  stream.finish();
  stream.stopReading(code);
};

const localEnd = (socket: Socket) => ({ readable: socket, writable: socket, abort: () => abortSocket(socket) });
