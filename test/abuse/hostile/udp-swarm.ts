// Many UDP sockets on many addresses that send whatever they are given to the relay, and keep account of
// what comes back. Nothing here speaks QUIC.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Bytes the kernel may hold of ours; beyond it a packet is not sent, lest this process's memory grow instead of the relay's. */
const SEND_QUEUE_BYTES = 1024 * 1024;
const BUFFER_BYTES = 4 * 1024 * 1024;

export class UdpSwarm {
  readonly #sockets: readonly Socket[];
  readonly #port: number;
  packetsSent = 0;
  bytesSent = 0;
  packetsReceived = 0;
  bytesReceived = 0;
  /** The last few answers, newest last. */
  readonly answers: Buffer[] = [];
  onAnswer: ((packet: Buffer, index: number) => void) | undefined;

  private constructor(sockets: readonly Socket[], port: number) {
    this.#sockets = sockets;
    this.#port = port;
    sockets.forEach((socket, index) => {
      socket.on('error', () => undefined);
      socket.on('message', (packet) => {
        this.packetsReceived++;
        this.bytesReceived += packet.length;
        if (this.answers.push(packet) > 64) this.answers.shift();
        this.onAnswer?.(packet, index);
      });
    });
  }

  /** One socket for each address; the relay is at `port` of 127.0.0.1. */
  static async open(port: number, addresses: readonly string[]): Promise<UdpSwarm> {
    const sockets = await Promise.all(
      addresses.map(async (address) => {
        const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES });
        socket.bind(0, address);
        await once(socket, 'listening');
        return socket;
      }),
    );
    return new UdpSwarm(sockets, port);
  }

  get size(): number {
    return this.#sockets.length;
  }

  send(packet: Uint8Array, index = this.packetsSent % this.#sockets.length): void {
    const socket = this.#sockets[index]!;
    if (socket.getSendQueueSize() > SEND_QUEUE_BYTES) return;
    this.packetsSent++;
    this.bytesSent += packet.length;
    socket.send(packet, this.#port, '127.0.0.1', () => undefined);
  }

  /** Sends the packet from socket `index` until something comes back to it. */
  async ask(packet: Uint8Array, index = 0): Promise<Buffer> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const answer = once(this.#sockets[index]!, 'message', { signal: AbortSignal.timeout(500) }) as Promise<[Buffer]>;
      this.send(packet, index);
      const heard = await answer.catch(() => undefined);
      if (heard) return heard[0];
    }
    throw new Error('the relay does not answer');
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
