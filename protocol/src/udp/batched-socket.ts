// A UDP socket over Linux's own system calls: up to 64 messages per recvmmsg, joined by GRO, and one GSO
// sendmsg per run. Readiness comes from Node's event loop (libuv's poll handle, through koffi); node:dgram
// stays out of it, as it would read joined packets without learning where they part.

import type { DatagramReceiver, SocketAddress, UdpSocket } from './datagram-socket.js';
import { DestinationCache } from './destination-cache.js';
import type { SocketCalls, Watch } from './linux-calls.js';
import { ReceiveBatch, BATCH_MESSAGES } from './receive-batch.js';
import { RunSender } from './run-sender.js';
import type { OpenedSocket } from './socket-setup.js';
import { readSocketError } from './socket-setup.js';

/** Packets between two `onBatchEnd`: enough for runs of several connections, and under 2 ms of a relay's work. */
const BATCH_PACKETS = 256;
/** Packets per turn of the event loop, so that timers and other sockets get theirs. */
const TURN_PACKETS = 1024;

export class BatchedSocket implements UdpSocket {
  readonly kind = 'batched';
  readonly reason = undefined;
  readonly bufferHint: string | undefined;
  readonly local: SocketAddress;
  readonly #calls: SocketCalls;
  readonly #fd: number;
  readonly #batch: ReceiveBatch;
  readonly #sender: RunSender;
  readonly #destinations: DestinationCache;
  #receiver: DatagramReceiver | undefined;
  #watch: Watch | undefined;
  #turnDue: NodeJS.Immediate | undefined;
  /** Messages of the batch that are yet to be handed over: `#next` up to `#filled`. */
  #next = 0;
  #filled = 0;
  #sinceBatchEnd = 0;
  #receiveErrors = 0;
  #closed = false;

  /** Takes over the descriptor. */
  constructor(calls: SocketCalls, { fd, family, local, canSegment, bufferHint }: OpenedSocket) {
    this.#calls = calls;
    this.#fd = fd;
    this.local = local;
    this.bufferHint = bufferHint;
    this.#batch = new ReceiveBatch(calls);
    this.#sender = new RunSender(calls, family, canSegment);
    this.#destinations = new DestinationCache(calls, family);
  }

  get sendErrors(): number {
    return this.#sender.errors + this.#receiveErrors;
  }

  start(receiver: DatagramReceiver): void {
    if (this.#closed) return;
    this.#receiver = receiver;
    this.#watch = this.#calls.watch(this.#fd, this.#onReadable);
  }

  sendRun(run: Buffer, length: number, segment: number, host: string, port: number): void {
    if (this.#closed) return;
    this.#sender.send(this.#fd, run, length, segment, this.#destinations.lookup(host, port));
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    clearImmediate(this.#turnDue);
    this.#watch?.close();
    this.#calls.close(this.#fd);
    return Promise.resolve();
  }

  /**
   * Runs in libuv's poll phase outside of Node's callback scope: an exception would get lost and promises
   * would not settle. So the work waits for the check phase, which is next in the same turn.
   */
  readonly #onReadable = (status: number): void => {
    if (this.#closed) return;
    if (status < 0) {
      // An error is pending on the socket: reading it clears it.
      readSocketError(this.#calls, this.#fd);
      this.#receiveErrors++;
      this.#watch?.restart();
    }
    this.#turnDue ??= setImmediate(this.#turn);
  };

  readonly #turn = (): void => {
    this.#turnDue = undefined;
    for (let packets = 0; packets < TURN_PACKETS && (this.#next < this.#filled || this.#refill()); ) {
      packets += this.#deliver(this.#next++);
      if (this.#closed) return;
    }
    this.#endBatch();
    // What is left in the kernel makes the descriptor readable again; what is left here does not.
    if (this.#next < this.#filled && !this.#closed) this.#turnDue ??= setImmediate(this.#turn);
  };

  /** Takes more messages; false when there are none, or when the last call has shown that there are no more. */
  #refill(): boolean {
    const isDrained = this.#filled > 0 && this.#filled < BATCH_MESSAGES;
    this.#batch.rearm(this.#filled);
    this.#next = 0;
    this.#filled = isDrained ? 0 : Math.max(0, this.#batch.receive(this.#fd));
    return this.#filled > 0;
  }

  /** Hands over the packets of one message; returns how many there were. */
  #deliver(index: number): number {
    const batch = this.#batch;
    const { host, port } = batch.senders.lookup(index);
    if (port === 0) return 1; // spoofed: nobody can be answered there
    const length = batch.length(index);
    const segment = batch.segment(index);
    let packets = 0;
    let start = 0;
    do {
      if (this.#closed) return packets;
      const end = Math.min(start + segment, length);
      this.#receiver!.onPacket(batch.packet(index, start, end), host, port);
      packets++;
      start = end;
    } while (start < length);
    this.#sinceBatchEnd += packets;
    if (this.#sinceBatchEnd >= BATCH_PACKETS) this.#endBatch();
    return packets;
  }

  #endBatch(): void {
    if (this.#sinceBatchEnd === 0 || this.#closed) return;
    this.#sinceBatchEnd = 0;
    this.#receiver!.onBatchEnd();
  }
}
