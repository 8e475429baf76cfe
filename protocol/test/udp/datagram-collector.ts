// A receiver for tests: keeps what arrives and lets a test wait for it.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DatagramReceiver, DatagramSocket } from '@ztna/protocol';

export interface Received {
  readonly bytes: Buffer;
  readonly host: string;
  readonly port: number;
}

/** Long enough for a loaded machine; a test that waits this long has failed. */
const PATIENCE_MS = 20_000;

export class DatagramCollector implements DatagramReceiver {
  readonly packets: Received[] = [];
  /** How many packets had arrived at each onBatchEnd. */
  readonly batches: number[] = [];
  /** Called within onPacket, with the socket's own memory. */
  onEach: ((packet: Buffer, host: string, port: number) => void) | undefined;

  static on(socket: DatagramSocket): DatagramCollector {
    const collector = new DatagramCollector();
    socket.start(collector);
    return collector;
  }

  onPacket(packet: Buffer, host: string, port: number): void {
    this.packets.push({ bytes: Buffer.from(packet), host, port });
    this.onEach?.(packet, host, port);
  }

  onBatchEnd(): void {
    this.batches.push(this.packets.length);
  }

  get lengths(): number[] {
    return this.packets.map(({ bytes }) => bytes.length);
  }

  /** Resolves when `count` packets came and their batch has ended. */
  async until(count: number): Promise<Received[]> {
    const deadline = performance.now() + PATIENCE_MS;
    while ((this.batches.at(-1) ?? 0) < count) {
      if (performance.now() > deadline) throw new Error(`${this.packets.length} of ${count} packets came`);
      await nextTurn();
    }
    return this.packets;
  }
}

/** Bytes that are different at every place, so that a packet at a wrong offset shows. */
export const patterned = (length: number, seed = 0): Buffer => {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >>> 8) * 13 + seed) & 0xff;
  return bytes;
};
