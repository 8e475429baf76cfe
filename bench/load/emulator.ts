// A link in the way of UDP: what comes to its address goes on to a target, and answers come back, each way through an
// impaired line of its own. Without loss and delay it is a bare forwarder: what a relay in Node costs before it does
// anything. Towards the target each client has a socket of its own, as behind a NAT.

import { openDatagramSocket, type SocketAddress, type UdpMode, type UdpSocket } from '@ztna/protocol';
import { performance } from 'node:perf_hooks';
import { ImpairedLine } from './impaired-line.js';

export interface EmulatorInit {
  readonly listen: SocketAddress;
  readonly target: SocketAddress;
  readonly seed: number;
  /** Probability, 0 to 1, each way. */
  readonly loss: number;
  /** One way, ms. */
  readonly delayMs: number;
  /** Default `auto`. */
  readonly udp?: UdpMode;
}

const MAX_CLIENTS = 64;

export interface EmulatorStats {
  readonly carried: number;
  readonly lost: number;
  readonly overflowed: number;
}

export class Emulator {
  readonly #init: EmulatorInit;
  readonly #near: UdpSocket;
  readonly #clients = new Map<string, Client>();
  readonly #all: Client[] = [];

  private constructor(init: EmulatorInit, near: UdpSocket) {
    this.#init = init;
    this.#near = near;
    near.start({
      onPacket: (packet, host, port) => this.#clientAt(host, port)?.up.push(packet),
      onBatchEnd: () => {
        for (const client of this.#all) client.up.release();
      },
    });
  }

  static async open(init: EmulatorInit): Promise<Emulator> {
    return new Emulator(init, await openDatagramSocket(init.listen, { mode: init.udp ?? 'auto' }));
  }

  get local(): SocketAddress {
    return this.#near.local;
  }

  get stats(): EmulatorStats {
    const total = { carried: 0, lost: 0, overflowed: 0 };
    for (const { up, down } of this.#all)
      for (const { stats } of [up.line, down.line]) for (const key of ['carried', 'lost', 'overflowed'] as const) total[key] += stats[key];
    return total;
  }

  async close(): Promise<void> {
    await Promise.all([this.#near.close(), ...this.#all.map((client) => client.close())]);
  }

  #clientAt(host: string, port: number): Client | undefined {
    const key = `${host} ${port}`;
    const known = this.#clients.get(key);
    if (known || this.#clients.size === MAX_CLIENTS) return known;
    const client = new Client(this.#init, this.#clients.size, this.#near, { host, port });
    this.#clients.set(key, client);
    this.#all.push(client);
    return client;
  }
}

class Client {
  readonly up: TimedLine;
  readonly down: TimedLine;
  #far: UdpSocket | undefined;

  constructor({ listen, target, seed, udp, ...chances }: EmulatorInit, index: number, near: UdpSocket, address: SocketAddress) {
    // Two seeds of its own, the same in every run in which clients come in the same order.
    const lineSeed = seed + index * 2;
    this.up = new TimedLine(new ImpairedLine({ ...chances, seed: lineSeed }), (run, length, segment) => this.#far?.sendRun(run, length, segment, target.host, target.port));
    this.down = new TimedLine(new ImpairedLine({ ...chances, seed: lineSeed + 1 }), (run, length, segment) => near.sendRun(run, length, segment, address.host, address.port));
    // What comes before it is bound is lost, as behind a NAT that is slow: every client here asks again.
    void openDatagramSocket({ host: listen.host, port: 0 }, { mode: udp ?? 'auto' }).then((far) => {
      this.#far = far;
      far.start({ onPacket: (packet) => this.down.push(packet), onBatchEnd: () => this.down.release() });
    });
  }

  async close(): Promise<void> {
    this.up.close();
    this.down.close();
    await this.#far?.close();
  }
}

/** A line with the clock and one timer. */
class TimedLine {
  readonly line: ImpairedLine;
  readonly #send: (run: Buffer, length: number, segment: number) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(line: ImpairedLine, send: (run: Buffer, length: number, segment: number) => void) {
    this.line = line;
    this.#send = send;
  }

  push(packet: Buffer): void {
    this.line.push(packet, performance.now());
  }

  /** Sends what is due, and comes back for the rest. */
  readonly release = (): void => {
    if (this.#timer) return;
    this.#onTimer();
  };

  close(): void {
    clearTimeout(this.#timer);
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.line.release(performance.now(), this.#send);
    const due = this.line.nextDue;
    if (due !== undefined) this.#timer = setTimeout(this.#onTimer, Math.max(1, Math.ceil(due - performance.now())));
  };
}
