// tcpdump on the loopback interface, its packets as they come. Needs root.

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';

/** pcap file header, and the header of each packet (pcap-savefile(5)). */
const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const CAPTURED_LENGTH_OFFSET = 8;

export class PacketCapture {
  readonly #child: ChildProcess;
  readonly #chunks: Buffer[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Resolves once packets that match `filter` (pcap-filter(7)) are being captured. */
  static async start(filter: string): Promise<PacketCapture> {
    const child = spawn('tcpdump', ['-i', 'lo', '-n', '-U', '--immediate-mode', '-B', '65536', '-s', '0', '-w', '-', filter], { stdio: ['ignore', 'pipe', 'pipe'] });
    const capture = new PacketCapture(child);
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line);
      if (line.includes('listening on')) return capture;
    }
    throw new Error(`tcpdump: ${said.join('\n')}`);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Resolves when the capture holds at least `bytes`. */
  async whenBytes(bytes: number): Promise<void> {
    const signal = AbortSignal.timeout(20_000);
    while (this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0) < bytes) await once(this.#child.stdout!, 'data', { signal });
  }

  /** Ends the capture; packets in all. */
  async stop(): Promise<number> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGINT');
    await closed;
    const { bytes } = this;
    let packets = 0;
    for (let at = FILE_HEADER_BYTES; at + PACKET_HEADER_BYTES <= bytes.length; packets++) {
      at += PACKET_HEADER_BYTES + bytes.readUInt32LE(at + CAPTURED_LENGTH_OFFSET);
    }
    return packets;
  }
}
