// One client's way to the relay through a bad network and a NAT: a port for the client, and towards the relay a socket
// per client port, as a NAT has. Loses, delays, reorders and duplicates; `rebind` is the NAT forgetting.

import { formatAddress, openDatagramSocket, type SocketAddress, type UdpSocket } from '@ztna/protocol';
import { PacketFates, type PacketChances } from '@ztna/protocol/testing';
import { DelayLine } from './delay-line.js';
import { derivedSeed } from './flow-plan.js';

export interface LinkInit extends PacketChances {
  readonly name: string;
  readonly seed: number;
  /** One way, ms. */
  readonly delayMs: number;
  readonly relay: () => SocketAddress | undefined;
}

export interface LinkStats {
  packets: number;
  lost: number;
  late: number;
  twice: number;
  rebinds: number;
}

/** How much later than those around it a packet comes that is overtaken: a few packets' time at these rates. */
const REORDER_BY_MS = 3;
/** What a router's buffer would hold; beyond it packets are lost. */
const MAX_IN_TRANSIT = 8192;
/** Longer than any QUIC connection here stays silent. */
const MAPPING_IDLE_MS = 90_000;

interface Mapping {
  readonly client: SocketAddress;
  far: UdpSocket;
  lastUsed: number;
}

interface Transit {
  readonly packet: Buffer;
  readonly mapping: Mapping;
}

export class LossyLink {
  readonly stats: LinkStats = { packets: 0, lost: 0, late: 0, twice: 0, rebinds: 0 };
  readonly #mappings = new Map<string, Mapping>();
  readonly #up: Direction;
  readonly #down: Direction;
  readonly #near: UdpSocket;
  readonly #sweep: NodeJS.Timeout;
  /** Bound already, so that a packet that needs a new mapping need not wait. */
  #spare: UdpSocket | undefined;

  private constructor(init: LinkInit, near: UdpSocket, spare: UdpSocket) {
    this.#near = near;
    this.#spare = spare;
    this.#up = new Direction(init, 'up', this.stats, ({ packet, mapping }) => {
      const relay = init.relay();
      if (relay) mapping.far.sendRun(packet, packet.length, packet.length, relay.host, relay.port);
    });
    this.#down = new Direction(init, 'down', this.stats, ({ packet, mapping: { client } }) => near.sendRun(packet, packet.length, packet.length, client.host, client.port));
    near.start({ onPacket: (packet, host, port) => this.#receive(packet, { host, port }), onBatchEnd: () => undefined });
    this.#sweep = setInterval(() => this.#forgetIdle(), MAPPING_IDLE_MS / 3);
  }

  static async open(init: LinkInit): Promise<LossyLink> {
    return new LossyLink(init, await openSocket(), await openSocket());
  }

  /** Where the client finds the relay. */
  get port(): number {
    return this.#near.local.port;
  }

  /** The relay sees the client's connections come from other ports from now on; what it sends to the old ones is lost. */
  async rebind(): Promise<void> {
    for (const mapping of this.#mappings.values()) {
      const next = await openSocket();
      const { far } = mapping;
      this.#serve(mapping, next);
      void far.close();
    }
    this.stats.rebinds++;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#up.close();
    this.#down.close();
    await Promise.all([this.#near.close(), this.#spare?.close(), ...[...this.#mappings.values()].map(({ far }) => far.close())]);
  }

  #receive(packet: Buffer, client: SocketAddress): void {
    const mapping = this.#mappings.get(formatAddress(client)) ?? this.#addMapping(client);
    if (!mapping) return void this.stats.lost++;
    mapping.lastUsed = performance.now();
    this.#up.carry({ packet, mapping });
  }

  #addMapping(client: SocketAddress): Mapping | undefined {
    const far = this.#spare;
    if (!far) return undefined;
    this.#spare = undefined;
    void openSocket().then((socket) => (this.#spare = socket));
    const mapping: Mapping = { client, far, lastUsed: performance.now() };
    this.#serve(mapping, far);
    this.#mappings.set(formatAddress(client), mapping);
    return mapping;
  }

  #serve(mapping: Mapping, far: UdpSocket): void {
    mapping.far = far;
    far.start({ onPacket: (packet) => this.#down.carry({ packet, mapping }), onBatchEnd: () => undefined });
  }

  #forgetIdle(): void {
    const oldest = performance.now() - MAPPING_IDLE_MS;
    for (const [key, { lastUsed, far }] of this.#mappings) {
      if (lastUsed >= oldest) continue;
      this.#mappings.delete(key);
      void far.close();
    }
  }
}

/** Packets one way: each with a fate of its own, drawn in the order of their coming. */
class Direction {
  readonly #fates: PacketFates;
  readonly #stats: LinkStats;
  readonly #onTime: DelayLine<Transit>;
  readonly #late: DelayLine<Transit>;

  constructor(init: LinkInit, name: string, stats: LinkStats, deliver: (transit: Transit) => void) {
    this.#fates = new PacketFates(derivedSeed(init.seed, `${init.name} ${name}`), init);
    this.#stats = stats;
    this.#onTime = new DelayLine(init.delayMs, deliver);
    this.#late = new DelayLine(init.delayMs + REORDER_BY_MS, deliver);
  }

  carry({ packet, mapping }: Transit): void {
    const stats = this.#stats;
    stats.packets++;
    const { isLost, isTwice, isLate } = this.#fates.next();
    if (isLost || this.#onTime.length + this.#late.length >= MAX_IN_TRANSIT) return void stats.lost++;
    // The socket's buffer is overwritten with its next packet.
    const transit = { packet: Buffer.from(packet), mapping };
    (isLate ? this.#late : this.#onTime).push(transit);
    if (isLate) stats.late++;
    if (!isTwice) return;
    stats.twice++;
    this.#onTime.push(transit);
  }

  close(): void {
    this.#onTime.close();
    this.#late.close();
  }
}

const openSocket = (): Promise<UdpSocket> => openDatagramSocket({ host: '127.0.0.1', port: 0 }, { mode: 'auto' });
