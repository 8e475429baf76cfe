// A transfer that runs for as long as a test does: a pattern into an echo server and back through one TCP flow, every
// byte compared. Owns the bytes and what they are compared with; what happens meanwhile is the test's.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';

/** The window at this pace is 1.5 MiB/s at most: a stream that never rests, and leaves the machine to others. */
const PACE_MS = 10;
const CHUNK_BYTES = 4 * 1024;
const WINDOW_CHUNKS = 4;

export class SteadyTransfer {
  /** Bytes that came back as they were sent. */
  received = 0;
  #sent = 0;
  #fault: string | undefined;
  #stopping = false;
  #pace: NodeJS.Timeout | undefined;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#check(chunk));
    socket.on('error', (error) => (this.#fault ??= error.message));
    socket.on('close', () => {
      if (!this.#stopping) this.#fault ??= 'the flow was cut off';
    });
    this.#fill();
  }

  static async start(t: Test, port: number): Promise<SteadyTransfer> {
    const socket = connect({ host: '127.0.0.1', port });
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    const transfer = new SteadyTransfer(socket);
    await transfer.progress();
    return transfer;
  }

  /** Resolves once what is sent from now on has begun to come back: bytes cross the path as it is now. */
  async progress(): Promise<void> {
    const target = this.#sent + CHUNK_BYTES;
    while (this.received < target) {
      if (this.#fault !== undefined) throw new Error(`${this.#fault} after ${this.received} bytes`);
      await once(this.#socket, 'data', { signal: AbortSignal.timeout(30_000) });
    }
  }

  /** Ends it in good order: everything sent has come back. Returns the number of bytes. */
  async finish(): Promise<number> {
    this.#stopping = true;
    this.#socket.end();
    if (!this.#socket.readableEnded) await once(this.#socket, 'end', { signal: AbortSignal.timeout(30_000) });
    if (this.#fault !== undefined) throw new Error(this.#fault);
    if (this.received !== this.#sent) throw new Error(`${this.#sent} bytes sent, ${this.received} came back`);
    return this.received;
  }

  #fill(): void {
    while (!this.#stopping && this.#sent - this.received < WINDOW_CHUNKS * CHUNK_BYTES) {
      this.#socket.write(pattern(this.#sent, CHUNK_BYTES));
      this.#sent += CHUNK_BYTES;
    }
  }

  #check(chunk: Buffer): void {
    if (!chunk.equals(pattern(this.received, chunk.length))) this.#fault ??= `other bytes from ${this.received} on`;
    this.received += chunk.length;
    this.#pace ??= setTimeout(() => {
      this.#pace = undefined;
      this.#fill();
    }, PACE_MS);
  }
}

/** Byte n depends on n in such a way that no shift by less than 2^24 goes unseen. */
const pattern = (from: number, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length);
  for (let n = 0; n < length; n += 1) {
    const at = from + n;
    bytes[n] = (at ^ (at >>> 8) ^ (at >>> 16)) & 0xff;
  }
  return bytes;
};
