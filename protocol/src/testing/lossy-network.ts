// A network in memory that loses, reorders, duplicates and delays packets, and rebinds addresses as a NAT
// does. A packet's fate depends on the seed and the order of sending alone; delivery uses real timers,
// because QUIC's own clock is real.

import type { DatagramReceiver, DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import { PacketFates, type PacketChances } from './packet-fates.js';

export interface LossyNetworkInit extends PacketChances {
  readonly seed: number;
  /** One way, ms. Default 0: delivery in the same turn of the event loop. */
  readonly delayMs?: number;
  /** Default 3. */
  readonly reorderByMs?: number;
}

interface Transit {
  readonly packet: Buffer;
  readonly from: SocketAddress;
  readonly to: SocketAddress;
}

export class LossyNetwork {
  readonly stats = { sent: 0, lost: 0, duplicated: 0, reordered: 0, delivered: 0 };
  /** Decides before chance does; false loses the packet. Sees and may keep a copy of every packet. */
  filter: ((packet: Buffer, from: SocketAddress, to: SocketAddress) => boolean) | undefined;
  readonly #init: Required<Pick<LossyNetworkInit, 'delayMs' | 'reorderByMs'>>;
  readonly #fates: PacketFates;
  readonly #sockets = new Map<string, LossySocket>();
  #now: Transit[] = [];
  #nextHost = 1;

  constructor(init: LossyNetworkInit) {
    this.#init = { delayMs: 0, reorderByMs: 3, ...init };
    this.#fates = new PacketFates(init.seed, init);
  }

  openSocket(): LossySocket {
    const address = this.#allocate();
    const socket = new LossySocket(this, address);
    this.#sockets.set(keyOf(address), socket);
    return socket;
  }

  /** For sockets. */
  carry(packet: Buffer, from: SocketAddress, to: SocketAddress): void {
    const { delayMs, reorderByMs } = this.#init;
    this.stats.sent++;
    const { isLost, isTwice, isLate } = this.#fates.next();
    if (isLost || this.filter?.(packet, from, to) === false) return void this.stats.lost++;
    if (isLate) this.stats.reordered++;
    this.#deliverIn(delayMs + (isLate ? reorderByMs : 0), { packet, from, to });
    if (!isTwice) return;
    this.stats.duplicated++;
    this.#deliverIn(delayMs, { packet: Buffer.from(packet), from, to });
  }

  /** For sockets: another address, as after a NAT forgot the mapping. The old one leads nowhere. */
  rebind(socket: LossySocket, old: SocketAddress): SocketAddress {
    const address = this.#allocate();
    this.#sockets.delete(keyOf(old));
    this.#sockets.set(keyOf(address), socket);
    return address;
  }

  forget(address: SocketAddress): void {
    this.#sockets.delete(keyOf(address));
  }

  #allocate(): SocketAddress {
    const n = this.#nextHost++;
    return { host: `10.0.${n >>> 8}.${n & 0xff}`, port: 10_000 + n };
  }

  #deliverIn(ms: number, transit: Transit): void {
    if (ms > 0) {
      setTimeout(() => this.#queue(transit), ms);
      return;
    }
    this.#queue(transit);
  }

  #queue(transit: Transit): void {
    this.#now.push(transit);
    if (this.#now.length === 1) setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    const batch = this.#now;
    this.#now = [];
    const receivers = new Set<DatagramReceiver>();
    for (const { packet, from, to } of batch) {
      const receiver = this.#sockets.get(keyOf(to))?.receiver;
      if (!receiver) continue;
      this.stats.delivered++;
      receivers.add(receiver);
      receiver.onPacket(packet, from.host, from.port);
    }
    for (const receiver of receivers) receiver.onBatchEnd();
  }
}

/** What its owner sees stays the same (`local`); what the others see of it (`external`) changes with `rebind`. */
export class LossySocket implements DatagramSocket {
  readonly local: SocketAddress;
  external: SocketAddress;
  sendErrors = 0;
  receiver: DatagramReceiver | undefined;
  readonly #network: LossyNetwork;
  #closed = false;

  constructor(network: LossyNetwork, address: SocketAddress) {
    this.#network = network;
    this.local = address;
    this.external = address;
  }

  start(receiver: DatagramReceiver): void {
    this.receiver = receiver;
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    if (this.#closed) return;
    for (let offset = 0; offset < length; offset += segment) {
      const packet = Buffer.from(run.subarray(offset, Math.min(offset + segment, length)));
      this.#network.carry(packet, this.external, { host, port });
    }
  }

  rebind(): SocketAddress {
    this.external = this.#network.rebind(this, this.external);
    return this.external;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.receiver = undefined;
    this.#network.forget(this.external);
    return Promise.resolve();
  }
}

const keyOf = ({ host, port }: SocketAddress): string => `${host} ${port}`;
