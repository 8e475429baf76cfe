// How often what was received is acknowledged. The packets between the two ends are moved by hand, one
// batch each and within one turn of the event loop, so that no timer can come between them.

import t, { type Test } from 'tap';
import { ACK_DELAY_MS, MAX_OWED_PACKETS, PROMPT_AFTER_DELAY_PACKETS, PROMPT_PACKETS, type DatagramReceiver, type DatagramSocket, type EndpointConnection, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createPair } from './pair.js';
import { innerClient, innerServer, SERVICE_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

/** Two to a packet do not fit. */
const DATAGRAM = Buffer.alloc(1000, 'd');
const MANY = 3 * MAX_OWED_PACKETS;

/** In memory. Delivers by itself until it is held. */
class HandSocket implements DatagramSocket {
  readonly local: SocketAddress;
  readonly sendErrors = 0;
  peer: HandSocket | undefined;
  isHeld = false;
  outbox: Buffer[] = [];
  sent = 0;
  sentBefore = -1;
  sentAt = 0;
  #receiver: DatagramReceiver | undefined;

  constructor(host: string) {
    this.local = { host, port: 1 };
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  sendRun(run: Buffer, length: number, segment: number): void {
    for (let at = 0; at < length; at += segment) this.outbox.push(Buffer.from(run.subarray(at, Math.min(at + segment, length))));
    this.sent++;
    this.sentAt = performance.now();
    if (!this.isHeld) setImmediate(() => this.isHeld || this.#move());
  }

  /** What was sent and stayed here. */
  take(): Buffer[] {
    return this.outbox.splice(0);
  }

  /** One packet arrives, alone in its batch. */
  readonly feed = (packet: Buffer): void => {
    const { host, port } = this.peer!.local;
    this.#receiver?.onPacket(packet, host, port);
    this.#receiver?.onBatchEnd();
  };

  release(): void {
    this.isHeld = false;
    this.outbox.length = 0;
  }

  close(): Promise<void> {
    this.#receiver = undefined;
    return Promise.resolve();
  }

  #move(): void {
    for (const packet of this.take()) this.peer!.feed(packet);
  }
}

t.test('datagrams that come one by one are acknowledged together', async (t) => {
  const { near, nearSocket, farSocket, far } = await connectByHand(t);
  const packets = sendDatagrams(near, nearSocket, MANY);
  t.equal(packets.length, MANY);
  t.equal(feedAll(farSocket, packets), MANY / MAX_OWED_PACKETS, `one packet for ${MAX_OWED_PACKETS}`);
  t.equal(far.datagrams.length, MANY, 'and none of them waited');
});

t.test('stream bytes that come one packet at a time are acknowledged together', async (t) => {
  const { near, nearSocket, farSocket, far } = await connectByHand(t);
  let read = 0;
  far.also.onStream = (_connection, stream) => {
    const into = Buffer.alloc(65_536);
    stream.handler = { onReadable: () => void (read += stream.read(into)), onWritable: () => undefined, onReset: () => undefined };
  };
  const bytes = Buffer.alloc(MANY * 1000);
  t.equal(near.openStream()!.write(bytes, false), bytes.length);
  near.flush();
  const packets = nearSocket.take();
  const sent = feedAll(farSocket, packets);
  t.ok(packets.length > 2 * MAX_OWED_PACKETS, `${packets.length} packets`);
  t.equal(read, bytes.length);
  t.equal(sent, Math.floor(packets.length / MAX_OWED_PACKETS));
});

t.test('the first packets of a connection are acknowledged one by one, for slow start', async (t) => {
  const { near, nearSocket, farSocket } = await connectByHand(t, { warm: false });
  t.equal(feedAll(farSocket, sendDatagrams(near, nearSocket, 5)), 5);
});

t.test('a single datagram is acknowledged although nothing follows it', async (t) => {
  const { near, nearSocket, farSocket } = await connectByHand(t);
  const packets = sendDatagrams(near, nearSocket, 1);
  t.equal(feedAll(farSocket, packets), 0, `not at once: ${ACK_DELAY_MS} ms`);
  await eventually(() => farSocket.outbox.length > 0);
  t.equal(farSocket.take().length, 1);
});

t.test('after an acknowledgement that waited in vain the next packets are acknowledged one by one', async (t) => {
  const { near, nearSocket, farSocket } = await connectByHand(t);
  feedAll(farSocket, sendDatagrams(near, nearSocket, 1));
  await eventually(() => farSocket.outbox.length > 0);
  nearSocket.feed(farSocket.take()[0]!);
  nearSocket.take();
  const packets = sendDatagrams(near, nearSocket, PROMPT_AFTER_DELAY_PACKETS + MAX_OWED_PACKETS - 1);
  t.equal(feedAll(farSocket, packets), PROMPT_AFTER_DELAY_PACKETS);
});

t.test('an answer takes the acknowledgement along', async (t) => {
  const { near, nearSocket, farSocket, far } = await connectByHand(t);
  far.also.onDatagram = (connection, payload, length) => void connection.sendDatagram(payload.subarray(0, length));
  // The first answer is acknowledged with the flush that its question left due, the others when they are ten.
  const asked = 1 + MAX_OWED_PACKETS;
  t.equal(feedAll(farSocket, sendDatagrams(near, nearSocket, asked), nearSocket.feed), asked, 'a packet for each');
  t.equal(feedAll(farSocket, nearSocket.take()), 0);
  await eventually(() => performance.now() - farSocket.sentAt > 5 * ACK_DELAY_MS);
  t.equal(farSocket.outbox.length, 0, 'and nothing beside them');
});

t.test('an acknowledgement that makes room is followed by what waited, in the same turn', async (t) => {
  const { near, nearSocket, farSocket } = await connectByHand(t);
  const packets: Buffer[] = [];
  while (near.quic.datagramsToSend() === 0) packets.push(...sendDatagrams(near, nearSocket, 10));
  feedAll(farSocket, packets.slice(0, MAX_OWED_PACKETS), nearSocket.feed);
  t.ok(nearSocket.take().length > 0);
});

t.test('with something of its own held back by the window, payload that comes is flushed for at once', async (t) => {
  const { near, nearSocket, farSocket, far } = await connectByHand(t);
  while (far.connection!.quic.datagramsToSend() === 0) sendDatagrams(far.connection!, farSocket, 10);
  t.equal(feedAll(farSocket, sendDatagrams(near, nearSocket, 3)), 3);
});

t.test('lost acknowledgements delay a stream and do not stop it', async (t) => {
  const { near, nearSocket, farSocket, far, release } = await connectByHand(t);
  far.also.onStream = (_connection, stream) => {
    stream.handler = { onReadable: () => void stream.read(Buffer.alloc(2048)), onWritable: () => undefined, onReset: () => undefined };
    stream.finish();
  };
  const stream = near.openStream()!;
  stream.handler = { onReadable: () => void stream.read(Buffer.alloc(16)), onWritable: () => undefined, onReset: () => undefined };
  stream.write(Buffer.from('once'), true);
  near.flush();
  feedAll(farSocket, nearSocket.take());
  await eventually(() => nearSocket.outbox.length > 0);
  release();
  t.equal(await near.whenAcknowledged(stream), true);
});

interface ByHand {
  readonly near: EndpointConnection;
  readonly far: Recorder;
  readonly nearSocket: HandSocket;
  readonly farSocket: HandSocket;
  /** From here on packets move by themselves again. */
  readonly release: () => void;
}

/** An established connection whose packets stay where they were sent. `warm`: beyond the packets that are acknowledged at once. */
async function connectByHand(t: Test, { warm = true } = {}): Promise<ByHand> {
  const nearSocket = new HandSocket('10.0.0.1');
  const farSocket = new HandSocket('10.0.0.2');
  nearSocket.peer = farSocket;
  farSocket.peer = nearSocket;
  const far = new Recorder();
  const serverConfig = innerServer({ congestionControl: 'reno' });
  const pair = createPair(t, { clientSocket: nearSocket, serverSocket: farSocket, serverConfig, accept: () => far });
  const recorder = new Recorder();
  const near = pair.connect(innerClient({ congestionControl: 'reno' }), recorder, SERVICE_SERVER_NAME);
  await Promise.all([recorder.established(), far.established()]);
  // Bursts beyond the window make it grow, until one passes at once.
  for (let received = 0; warm && received <= PROMPT_PACKETS; received = Math.min(far.datagrams.length, recorder.datagrams.length)) {
    for (const connection of [near, far.connection!]) for (let n = 0; n < 2 * MANY; n++) connection.sendDatagram(DATAGRAM);
    await eventually(() => near.quic.datagramsToSend() === 0 && far.connection!.quic.datagramsToSend() === 0);
  }
  await eventually(() => isQuiet(nearSocket, farSocket));
  for (const socket of [nearSocket, farSocket]) socket.isHeld = true;
  if (warm) {
    align(near, nearSocket, farSocket);
    align(far.connection!, farSocket, nearSocket);
  }
  far.forgetDatagrams();
  const release = (): void => {
    for (const socket of [nearSocket, farSocket]) socket.release();
  };
  t.teardown(release);
  return { near, far, nearSocket, farSocket, release };
}

/** Sends until the other end has just acknowledged as late as it may: what it answers at once is used up, and it owes nothing. */
function align(from: EndpointConnection, fromSocket: HandSocket, toSocket: HandSocket): void {
  for (let silent = 0; ; ) {
    const answers = feedAll(toSocket, sendDatagrams(from, fromSocket, 1), fromSocket.feed);
    if (answers > 0 && silent === MAX_OWED_PACKETS - 1) return;
    silent = answers > 0 ? 0 : silent + 1;
  }
}

/** True when nothing was sent since it was asked last. */
function isQuiet(...sockets: HandSocket[]): boolean {
  const quiet = sockets.every((socket) => socket.sent === socket.sentBefore && performance.now() - socket.sentAt > 5 * ACK_DELAY_MS);
  for (const socket of sockets) socket.sentBefore = socket.sent;
  return quiet;
}

function sendDatagrams(connection: EndpointConnection, socket: HandSocket, count: number): Buffer[] {
  for (let n = 0; n < count; n++) connection.sendDatagram(DATAGRAM);
  connection.flush();
  return socket.take();
}

/** A batch for each packet; returns how many packets `socket` sent meanwhile. */
function feedAll(socket: HandSocket, packets: readonly Buffer[], onSent: (packet: Buffer) => void = () => undefined): number {
  let sent = 0;
  for (const packet of packets) {
    socket.feed(packet);
    for (const answer of socket.take()) {
      sent++;
      onSent(answer);
    }
  }
  return sent;
}
