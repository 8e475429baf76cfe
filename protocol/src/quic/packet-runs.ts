// Takes what a connection has to send and hands it to the socket in runs: packets of one length to one
// address lie back to back, so that a batched socket sends them with one system call (GSO). One buffer
// for all connections of an endpoint; nothing is kept between calls.

import type { DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import type { QuicConnection } from './port.js';

/** A GSO send takes at most 64 KiB; 44 packets of 1350 bytes fit with room to spare. */
const RUN_BYTES = 60_000;
/**
 * A first packet below this has no other of its length behind it, for which a run would have to wait: what that brings would
 * have gone into it. It leaves before QUIC is asked for more. Half of the 1200 bytes that are the least any path takes.
 */
const SMALL_PACKET_BYTES = 600;
/** The largest packet a connection may be configured to send. */
const MAX_PACKET_BYTES = 1500;

export class PacketRuns {
  /** Also where single packets (Retry, Version Negotiation) are written before `sendOne`. */
  readonly buffer = Buffer.allocUnsafeSlow(RUN_BYTES + MAX_PACKET_BYTES);
  readonly #socket: DatagramSocket;
  /** Where QUIC writes a run's second packet, which mostly there is none of: no view into the run has to be made for it. */
  readonly #second = Buffer.allocUnsafeSlow(MAX_PACKET_BYTES);

  constructor(socket: DatagramSocket) {
    this.#socket = socket;
  }

  /** Sends the first `length` bytes of `buffer` as one packet. */
  sendOne(length: number, host: string, port: number): void {
    this.#socket.sendRun(this.buffer, length, length, host, port);
  }

  /** As `flush`, one packet at a time: returns what sends the same packets once more. */
  flushCopied(quic: QuicConnection, fixed?: SocketAddress): () => void {
    const sent: { readonly packet: Buffer; readonly host: string; readonly port: number }[] = [];
    for (let size; (size = quic.send(this.buffer)) > 0; ) {
      const { host, port } = fixed ?? quic.sentTo;
      sent.push({ packet: Buffer.from(this.buffer.subarray(0, size)), host, port });
      this.sendOne(size, host, port);
    }
    return () => {
      for (const { packet, host, port } of sent) this.#socket.sendRun(packet, packet.length, packet.length, host, port);
    };
  }

  /**
   * Sends everything that flow and congestion control let the connection send now.
   *
   * @param fixed where to, whatever address QUIC knows. Default: where QUIC says, packet by packet
   */
  flush(quic: QuicConnection, fixed?: SocketAddress): void {
    const run = this.buffer;
    let length = 0;
    let segment = 0;
    let { host, port } = fixed ?? quic.sentTo;
    for (let size; (size = quic.send(length === 0 ? run : length === segment ? this.#second : run.subarray(length))) > 0; ) {
      if (length > 0 && length === segment) this.#second.copy(run, length, 0, size);
      const to = fixed ?? quic.sentTo;
      if (length > 0 && (size > segment || to.port !== port || to.host !== host)) {
        // Ends the run: a packet longer than its segments, or one for another address.
        this.#socket.sendRun(run, length, segment, host, port);
        run.copyWithin(0, length, length + size);
        length = 0;
      }
      if (length === 0) {
        segment = size;
        ({ host, port } = to);
      }
      length += size;
      if (size < segment || length > RUN_BYTES - segment || length < SMALL_PACKET_BYTES) {
        this.#socket.sendRun(run, length, segment, host, port);
        length = 0;
      }
    }
    if (length > 0) this.#socket.sendRun(run, length, segment, host, port);
  }
}
