// A connection moves between two paths while a window full of packets is lost on the one it leaves.

import t from 'tap';
import { Endpoint, type DatagramReceiver, type DatagramSocket, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { innerClient, innerServer, SERVICE_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

const FIRST: SocketAddress = { host: '10.0.0.1', port: 1 };
const SECOND: SocketAddress = { host: '10.0.0.2', port: 1 };
const BYTES = 32 * 1024 * 1024;
/** More than QUIC's probes would ever bring back. */
const PACKETS = 100;

class Path implements DatagramSocket {
  readonly local: SocketAddress = { host: '10.255.255.255', port: 1 };
  sendErrors = 0;
  /** Packets sent on this path are lost. */
  loses: string | undefined;
  lost = 0;
  lastHost = '';
  peer!: Path;
  #receiver: DatagramReceiver | undefined;

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  /** A host names the path, at both ends. */
  sendRun(run: Buffer, length: number, segment: number, host: string): void {
    this.lastHost = host;
    const packets: Buffer[] = [];
    for (let offset = 0; offset < length; offset += segment) packets.push(Buffer.from(run.subarray(offset, Math.min(offset + segment, length))));
    if (host === this.loses) {
      this.lost += packets.length;
      return;
    }
    setImmediate(() => {
      for (const packet of packets) this.peer.#receiver?.onPacket(packet, host, 1);
      this.peer.#receiver?.onBatchEnd();
    });
  }

  close(): Promise<void> {
    this.#receiver = undefined;
    return Promise.resolve();
  }
}

t.test('what was lost on the path that a connection left is found and sent again', async (t) => {
  const [near, far] = createPaths();
  let sent = 0;
  const chunk = Buffer.alloc(64 * 1024, 7);
  const server = new Endpoint({
    socket: far,
    server: {
      config: innerServer(),
      retry: false,
      maxConnections: 1,
      accept: () =>
        new Recorder({
          onMigrated: (connection, before) => void setTimeout(() => connection.peer.recoverFrom(before), 50),
          onStream: (_connection, stream) => {
            const push = (): void => {
              for (let taken = 1; taken > 0 && sent < BYTES; sent += taken) taken = stream.write(chunk.subarray(0, Math.min(chunk.length, BYTES - sent)), false);
            };
            stream.handler = { onReadable: () => stream.read(Buffer.alloc(16)), onWritable: push, onReset: () => undefined };
            push();
          },
        }),
    },
  });
  const client = new Endpoint({ socket: near });
  t.teardown(() => Promise.all([client.close('no_error'), server.close('no_error')]));
  const recorder = new Recorder();
  const connection = client.connect(FIRST, SERVICE_SERVER_NAME, innerClient(), recorder);
  await recorder.established();
  await eventually(() => connection.peer.probe(SECOND));
  await eventually(() => connection.peer.isValidated(SECOND));

  let received = 0;
  const stream = connection.openStream()!;
  const buffer = Buffer.alloc(64 * 1024);
  const read = (): void => {
    for (let count; (count = stream.read(buffer)) > 0; ) received += count;
  };
  stream.handler = { onReadable: read, onWritable: () => undefined, onReset: () => undefined };
  stream.write(Buffer.from('go'), false);
  await eventually(() => received > BYTES / 8);
  far.loses = FIRST.host;
  await eventually(() => far.lost >= PACKETS);
  t.equal(connection.peer.migrate(SECOND), true);
  await eventually(() => connection.quic.activePath()?.peer.host === SECOND.host && far.lastHost === SECOND.host);
  far.loses = undefined;
  connection.peer.recoverFrom(FIRST);
  await eventually(() => received === BYTES);
  t.equal(sent, BYTES);
  t.equal(connection.hasEnded, false);
});

function createPaths(): [Path, Path] {
  const [near, far] = [new Path(), new Path()];
  near.peer = far;
  far.peer = near;
  return [near, far];
}
