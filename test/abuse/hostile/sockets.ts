// Sockets with a will of their own under a hostile client: one that listens and speaks only when told to, and
// one that moves from address to address.

import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { openPlainSocket, type DatagramReceiver, type DatagramSocket, type SocketAddress } from '@ztna/protocol';

/** Can be made deaf (receives nothing any more) and dumb (what QUIC wants sent is not). Keeps what was sent last. */
export class WilfulSocket implements DatagramSocket {
  isDeaf = false;
  isDumb = false;
  /** Up to 64 packets as they were sent, newest last. */
  readonly sent: Buffer[] = [];
  bytesReceived = 0;
  packetsReceived = 0;
  readonly #inner: DatagramSocket;

  constructor(inner: DatagramSocket) {
    this.#inner = inner;
  }

  get local(): SocketAddress {
    return this.#inner.local;
  }

  get sendErrors(): number {
    return this.#inner.sendErrors;
  }

  start(receiver: DatagramReceiver): void {
    this.#inner.start({
      onPacket: (packet, host, port) => {
        this.packetsReceived++;
        this.bytesReceived += packet.length;
        if (!this.isDeaf) receiver.onPacket(packet, host, port);
      },
      onBatchEnd: () => receiver.onBatchEnd(),
    });
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    if (this.isDumb) return;
    for (let at = 0; at < length; at += segment) this.sent.push(Buffer.from(run.subarray(at, Math.min(at + segment, length))));
    if (this.sent.length > 64) this.sent.splice(0, this.sent.length - 64);
    this.#inner.sendRun(run, length, segment, host, port);
  }

  /** A packet of the attacker's own, whatever QUIC thinks of it. */
  inject(packet: Buffer, port: number): void {
    this.#inner.sendRun(packet, packet.length, packet.length, '127.0.0.1', port);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** A client that changes its address whenever told, as behind a NAT that forgets; QUIC above it does not know. */
export class RoamingSocket implements DatagramSocket {
  readonly #sockets: DatagramSocket[];
  #current = 0;
  moves = 0;

  constructor(inner: DatagramSocket, others: readonly DatagramSocket[]) {
    this.#sockets = [inner, ...others];
  }

  static openOthers(addresses: readonly string[]): Promise<DatagramSocket[]> {
    return Promise.all(addresses.map((host) => openPlainSocket({ host, port: 0 })));
  }

  get local(): SocketAddress {
    return this.#sockets[0]!.local;
  }

  get sendErrors(): number {
    return 0;
  }

  start(receiver: DatagramReceiver): void {
    for (const socket of this.#sockets) socket.start(receiver);
  }

  move(): void {
    this.#current = (this.#current + 1) % this.#sockets.length;
    this.moves++;
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    this.#sockets[this.#current]!.sendRun(run, length, segment, host, port);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) await socket.close();
  }
}

/** Sends packets once from an address of its own; for what others recorded. */
export const sendFrom = async (address: string, port: number, packets: readonly Buffer[]): Promise<void> => {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  for (const packet of packets) await new Promise((resolve) => socket.send(packet, port, '127.0.0.1', resolve));
  socket.close();
};
