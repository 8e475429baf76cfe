// One UDP flow inside an inner connection, the same on both sides: payloads in QUIC datagrams, or on
// the flow's stream when too large for one. Lossy like UDP: what cannot go now is dropped and counted.
// The codec is wire/udp-flow-codec.ts; sockets belong to the agent's listener and the connector's backend.

import type { StreamGate } from './flow-gate.js';
import type { FailureCode } from '../failure-codes.js';
import { DATAGRAM_QUEUED, DATAGRAM_TOO_LARGE } from '../quic/port.js';
import type { EndpointConnection } from '../quic/endpoint-connection.js';
import type { QuicStream } from '../quic/quic-stream.js';
import { releaseReadBuffer, takeReadBuffer } from '../quic/read-buffers.js';
import { MAX_UDP_PAYLOAD_BYTES, packUdpDatagram, packUdpFrame, parseUdpDatagram, UdpFrameDecoder } from '../wire/udp-flow-codec.js';

export interface UdpFlowInit {
  readonly stream: QuicStream;
  readonly connection: EndpointConnection;
  readonly gate?: StreamGate;
  /** Bytes of the stream that were read before the flow took it over. */
  readonly early?: Buffer;
  /** `payload` is valid during the call only. */
  readonly onPayload: (payload: Uint8Array) => void;
  /** Called once; `code` is undefined when the peer ended the flow in good order. */
  readonly onEnd: (code: FailureCode | undefined) => void;
}

export class UdpFlow {
  readonly id: number;
  droppedPayloads = 0;
  readonly #init: UdpFlowInit;
  readonly #decoder = new UdpFrameDecoder();
  #gate: StreamGate | undefined;
  #unsent: Uint8Array | undefined;
  #ended = false;

  constructor(init: UdpFlowInit) {
    this.#init = init;
    this.#gate = init.gate;
    this.id = init.stream.id;
    init.stream.handler = {
      onReadable: () => this.#read(),
      onWritable: () => this.#flush(),
      onReset: (code) => this.#end(code),
    };
    // Once the caller holds the flow: `onEnd` may name it. A FIN may have been read with the early bytes.
    queueMicrotask(() => this.#start());
  }

  /** Sends one payload of up to 65 535 bytes, or drops it. */
  send(payload: Uint8Array): void {
    if (this.#ended) return;
    const outcome = this.#init.connection.sendDatagram(packUdpDatagram(this.id, payload));
    if (outcome === DATAGRAM_QUEUED) return;
    // One frame at a time may wait for flow control: more would be a queue that UDP does not promise.
    if (outcome !== DATAGRAM_TOO_LARGE || this.#unsent || payload.length > MAX_UDP_PAYLOAD_BYTES) {
      this.droppedPayloads++;
      return;
    }
    this.#unsent = packUdpFrame(payload);
    this.#flush();
  }

  /** A datagram of the connection that names this flow. */
  handlePayload(payload: Uint8Array): void {
    if (!this.#ended) this.#init.onPayload(payload);
  }

  /** Ends the flow: in good order, or with a code that the peer sees. */
  close(code?: FailureCode): void {
    if (this.#ended) return;
    const { stream } = this.#init;
    if (code || this.#unsent) stream.abort(code ?? 'no_error'); // a FIN inside a frame would read as a fault
    else {
      stream.finish();
      stream.stopReading('no_error');
    }
    this.#end(code);
  }

  #start(): void {
    if (this.#ended) return;
    const { early, stream } = this.#init;
    if (early && early.length > 0) this.#handleBytes(early);
    if (stream.isDead && !stream.readFinished) this.#end('flow_reset');
    else this.#read();
  }

  #read(): void {
    const { stream } = this.#init;
    const chunk = takeReadBuffer();
    for (let count; !this.#ended && (count = stream.read(chunk)) > 0; ) this.#handleBytes(chunk.subarray(0, count));
    releaseReadBuffer(chunk);
    if (stream.readFinished && !this.#ended) this.close();
  }

  #handleBytes(bytes: Buffer): void {
    let payloads = bytes;
    if (this.#gate) {
      const outcome = this.#gate(bytes);
      if (outcome === 'wait') return;
      if ('refused' in outcome) return this.close(outcome.refused);
      this.#gate = undefined;
      payloads = outcome.rest;
    }
    this.#decoder.push(payloads);
    for (let payload; (payload = this.#decoder.next()); ) this.handlePayload(payload);
  }

  #flush(): void {
    if (!this.#unsent) return;
    const frame = this.#unsent;
    const taken = this.#init.stream.write(frame, false);
    if (this.#ended) return; // the write met a reset
    this.#unsent = taken === frame.length ? undefined : frame.subarray(taken);
  }

  #end(code: FailureCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsent = undefined;
    this.#init.onEnd(code === 'no_error' ? undefined : code);
  }
}

/** The UDP flows of one inner connection, by stream id. */
export class UdpFlowTable {
  /** Datagrams that named no flow of ours. */
  unclaimed = 0;
  readonly #flows = new Map<number, UdpFlow>();

  add(flow: UdpFlow): void {
    this.#flows.set(flow.id, flow);
  }

  remove(id: number): void {
    this.#flows.delete(id);
  }

  dispatch(datagram: Uint8Array): void {
    const parsed = parseUdpDatagram(datagram);
    const flow = parsed.ok ? this.#flows.get(parsed.streamId) : undefined;
    if (parsed.ok && flow) flow.handlePayload(parsed.payload);
    else this.unclaimed++;
  }
}
