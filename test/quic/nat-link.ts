// A link between a client and a server with a NAT in it: what the server sees as its client's address is the test's, and
// what it sends to another one is lost. Deterministic, in one process; no sockets.

import type { DatagramReceiver, DatagramSocket, SocketAddress } from '@ztna/protocol';

export const SERVER: SocketAddress = { host: '10.0.0.1', port: 4433 };
const CLIENT: SocketAddress = { host: '192.168.0.2', port: 5000 };

export interface NatLink {
  readonly near: NatEnd;
  readonly far: NatEnd;
}

/** @param mapped the address that the NAT has for the client now */
export const createNatLink = (mapped: () => SocketAddress): NatLink => {
  const near = new NatEnd(CLIENT, mapped);
  const far = new NatEnd(SERVER, mapped);
  [near.peer, far.peer] = [far, near];
  return { near, far };
};

/** A packet as a test sees it on its way. */
export interface Transit {
  readonly packet: Buffer;
  readonly host: string;
  readonly port: number;
}

export class NatEnd implements DatagramSocket {
  readonly local: SocketAddress;
  sendErrors = 0;
  peer!: NatEnd;
  /** Packets of the server's to an address that the NAT does not have. */
  readonly lost: Transit[] = [];
  /** Sees each packet before it is delivered; true keeps it. */
  onTransit: (transit: Transit) => boolean = () => false;
  readonly #mapped: () => SocketAddress;
  #receiver: DatagramReceiver | undefined;

  constructor(local: SocketAddress, mapped: () => SocketAddress) {
    this.local = local;
    this.#mapped = mapped;
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    const mapped = this.#mapped();
    const from = this.local === SERVER ? SERVER : mapped;
    const packets: Buffer[] = [];
    for (let offset = 0; offset < length; offset += segment) {
      const packet = Buffer.from(run.subarray(offset, Math.min(offset + segment, length)));
      if (this.local === SERVER && (host !== mapped.host || port !== mapped.port)) this.lost.push({ packet, host, port });
      else if (!this.onTransit({ packet, host, port })) packets.push(packet);
    }
    if (packets.length > 0) setImmediate(() => this.peer.deliver(packets, from));
  }

  /** As if they had come from there. */
  deliver(packets: readonly Buffer[], from: SocketAddress): void {
    for (const packet of packets) this.#receiver?.onPacket(packet, from.host, from.port);
    this.#receiver?.onBatchEnd();
  }

  close(): Promise<void> {
    this.#receiver = undefined;
    return Promise.resolve();
  }
}
