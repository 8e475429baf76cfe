// A datagram socket with a slow link towards one port, as a home router has: so many bytes a second, a first in,
// first out buffer in front, and what finds it full is lost. Everything else goes straight through.

import { performance } from 'node:perf_hooks';
import type { DatagramReceiver, DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';

export interface ShapedLink {
  readonly bytesPerSecond: number;
  /** Packets the buffer takes. */
  readonly buffer: number;
}

const TICK_MS = 1;

export class ShapedSocket implements DatagramSocket {
  /** Packets that found the buffer full. */
  lost = 0;
  readonly #inner: DatagramSocket;
  readonly #link: ShapedLink;
  #port: number | undefined;
  #waiting: { readonly packet: Buffer; readonly host: string; readonly port: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Bytes the link may carry now. */
  #credit = 0;
  #at = 0;

  constructor(inner: DatagramSocket, link: ShapedLink) {
    this.#inner = inner;
    this.#link = link;
  }

  get local(): SocketAddress {
    return this.#inner.local;
  }

  get sendErrors(): number {
    return this.#inner.sendErrors;
  }

  /** From now on what goes to this port takes the slow link. */
  shape(port: number): void {
    this.#port = port;
  }

  start(receiver: DatagramReceiver): void {
    this.#inner.start(receiver);
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    if (port !== this.#port) return this.#inner.sendRun(run, length, segment, host, port);
    for (let offset = 0; offset < length; offset += segment) {
      if (this.#waiting.length >= this.#link.buffer) this.lost++;
      else this.#waiting.push({ packet: Buffer.from(run.subarray(offset, Math.min(offset + segment, length))), host, port });
    }
    if (this.#timer) return;
    this.#at = performance.now();
    this.#timer = setInterval(this.#onTick, TICK_MS);
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    this.#waiting = [];
    return this.#inner.close();
  }

  /** Credit for the time that passed, so that a late timer costs no rate; none is saved up while nothing waits. */
  readonly #onTick = (): void => {
    const now = performance.now();
    this.#credit += ((now - this.#at) / 1000) * this.#link.bytesPerSecond;
    this.#at = now;
    let sent = 0;
    for (; sent < this.#waiting.length && this.#credit > 0; sent++) {
      const { packet, host, port } = this.#waiting[sent]!;
      this.#credit -= packet.length;
      this.#inner.sendRun(packet, packet.length, packet.length, host, port);
    }
    this.#waiting.splice(0, sent);
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#credit = 0;
  };
}
