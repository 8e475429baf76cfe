// A NAT forgets a client: what the server had under way to the old address is lost, and comes again at the new one.

import t from 'tap';
import { Endpoint, type DatagramReceiver, type DatagramSocket, type EndpointConnection, type QuicStream, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

const SERVER: SocketAddress = { host: '10.0.0.1', port: 4433 };
/** As many as the server sends before it hears from the new address: more than the two packets that QUIC's probes bring back. */
const LOST_MESSAGES = 12;

/** One end of a link with a NAT in it, which the server sees as its client's address. */
class NatEnd implements DatagramSocket {
  readonly local: SocketAddress;
  sendErrors = 0;
  peer!: NatEnd;
  lost = 0;
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
    const from = this.local === SERVER ? SERVER : this.#mapped();
    const packets: Buffer[] = [];
    for (let offset = 0; offset < length; offset += segment) packets.push(Buffer.from(run.subarray(offset, Math.min(offset + segment, length))));
    const mapped = this.#mapped();
    if (this.local === SERVER && (host !== mapped.host || port !== mapped.port)) {
      this.lost += packets.length;
      return;
    }
    setImmediate(() => {
      for (const packet of packets) this.peer.#receiver?.onPacket(packet, from.host, from.port);
      this.peer.#receiver?.onBatchEnd();
    });
  }

  close(): Promise<void> {
    this.#receiver = undefined;
    return Promise.resolve();
  }
}

t.test('messages under way to an address that the NAT forgot arrive at the next one', async (t) => {
  let mapped: SocketAddress = { host: '192.0.2.1', port: 40_000 };
  const near = new NatEnd({ host: '192.168.0.2', port: 5000 }, () => mapped);
  const far = new NatEnd(SERVER, () => mapped);
  [near.peer, far.peer] = [far, near];
  let control: QuicStream | undefined;
  const accepted = new Recorder({
    onStream: (_connection, stream) => {
      control = stream;
      stream.handler = { onReadable: () => stream.read(Buffer.alloc(16)), onWritable: () => undefined, onReset: () => undefined };
    },
  });
  const server = new Endpoint({ socket: far, server: { config: outerServer(), retry: true, maxConnections: 1, accept: () => accepted } });
  const client = new Endpoint({ socket: near });
  t.teardown(() => Promise.all([client.close('no_error'), server.close('no_error')]));
  const recorder = new Recorder();
  const connection: EndpointConnection = client.connect(SERVER, RELAY_SERVER_NAME, outerClient(), recorder);
  await recorder.established();
  const received: Buffer[] = [];
  const stream = connection.openStream()!;
  const buffer = Buffer.alloc(4096);
  const read = (): void => {
    for (let count; (count = stream.read(buffer)) > 0; ) received.push(Buffer.from(buffer.subarray(0, count)));
  };
  stream.handler = { onReadable: read, onWritable: () => undefined, onReset: () => undefined };
  stream.write(Buffer.from('go'), false);
  await eventually(() => control !== undefined);
  control!.write(Buffer.from('ready.'), false);
  await eventually(() => Buffer.concat(received).toString() === 'ready.');

  for (let port = 40_001; port <= 40_005; port++) {
    received.length = 0;
    far.lost = 0;
    mapped = { host: '192.0.2.1', port };
    let expected = '';
    for (let n = 0; n < LOST_MESSAGES; n++) {
      const text = `message ${port}/${n}.`;
      control!.write(Buffer.from(text), false);
      expected += text;
      // A packet each.
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok(far.lost >= LOST_MESSAGES / 2, `${far.lost} packets lost`);
    connection.ping();
    const began = performance.now();
    await eventually(() => Buffer.concat(received).length === expected.length);
    t.equal(Buffer.concat(received).toString(), expected);
    t.comment(`all there after ${(performance.now() - began).toFixed(0)} ms`);
  }
  await eventually(() => accepted.count('migrated') >= 5);
  t.equal(accepted.count('migrated'), 5, 'each move is told once');
  t.equal(connection.hasEnded, false);
});
