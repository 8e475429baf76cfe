// A UDP socket over node:dgram alone: works on every platform Node does. One system call per packet.

import { createSocket, type BindOptions, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { bindError } from './bind-error.js';
import type { DatagramReceiver, SocketAddress, UdpSocket } from './datagram-socket.js';
import { bufferHint, SOCKET_BUFFER_BYTES } from './socket-buffers.js';

class PlainSocket implements UdpSocket {
  readonly kind = 'plain';
  readonly reason: string | undefined;
  readonly bufferHint: string | undefined;
  readonly local: SocketAddress;
  sendErrors = 0;
  readonly #socket: Socket;
  #receiver: DatagramReceiver | undefined;
  #batchEndDue = false;
  #closed = false;

  constructor(socket: Socket, reason: string | undefined) {
    this.#socket = socket;
    this.reason = reason;
    this.bufferHint = bufferHint(socket.getRecvBufferSize(), socket.getSendBufferSize());
    const { address, port } = socket.address();
    this.local = { host: address, port };
    // ICMP errors (ECONNREFUSED …) surface here; QUIC's own timers decide what they mean.
    socket.on('error', () => this.#countError());
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
    this.#socket.on('message', (packet, from) => {
      if (from.port === 0) return; // spoofed: nobody can be answered there
      receiver.onPacket(packet, from.address, from.port);
      if (this.#batchEndDue) return;
      this.#batchEndDue = true;
      // libuv reads up to 32 packets before it returns to the loop; the check phase comes right after.
      setImmediate(this.#endBatch);
    });
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    if (this.#closed) return;
    if (this.#socket.getSendQueueSize() > SOCKET_BUFFER_BYTES) {
      // libuv would queue without end where the kernel's buffer is full: 167 MB in half a second, measured.
      this.sendErrors += Math.ceil(length / segment);
      return;
    }
    for (let offset = 0; offset < length; offset += segment) {
      // A copy: node:dgram keeps the buffer when the kernel's queue is full.
      const packet = Buffer.from(run.subarray(offset, Math.min(offset + segment, length)));
      try {
        this.#socket.send(packet, port, host, this.#onSent);
      } catch {
        this.#countError(); // an address no packet can go to, such as port 0
      }
    }
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(resolve));
  }

  readonly #endBatch = (): void => {
    this.#batchEndDue = false;
    if (!this.#closed) this.#receiver?.onBatchEnd();
  };

  readonly #onSent = (error: Error | null): void => {
    if (error) this.#countError();
  };

  #countError(): void {
    this.sendErrors++;
  }
}

/**
 * Binds a UDP socket. An IPv6 wildcard (`::`) also takes IPv4.
 *
 * @param reason why it is this kind of socket, for logs
 * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`
 */
export const openPlainSocket = (address: SocketAddress, reason?: string): Promise<UdpSocket> =>
  bindPlainSocket(address, { port: address.port, address: address.host }, reason);

/** Takes over a bound socket; as `openPlainSocket`. */
export const adoptPlainSocket = (fd: number, address: SocketAddress, reason?: string): Promise<UdpSocket> => bindPlainSocket(address, { fd }, reason);

const bindPlainSocket = (address: SocketAddress, where: BindOptions, reason: string | undefined): Promise<UdpSocket> =>
  new Promise((resolve, reject) => {
    const socket = createSocket({
      type: isIPv6(address.host) ? 'udp6' : 'udp4',
      recvBufferSize: SOCKET_BUFFER_BYTES,
      sendBufferSize: SOCKET_BUFFER_BYTES,
      // Destinations are IP literals; the default resolver would defer every packet by a tick.
      lookup: (host, _options, found) => found(null, host, isIPv6(host) ? 6 : 4),
    });
    const fail = (cause: NodeJS.ErrnoException): void => {
      socket.close();
      reject(bindError(address, cause));
    };
    socket.once('error', fail);
    socket.bind(where, () => {
      socket.off('error', fail);
      resolve(new PlainSocket(socket, reason));
    });
  });
