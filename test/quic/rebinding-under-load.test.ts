// Many clients behind one NAT that forgets them again and again, on a network that loses packets, with traffic both ways: no
// connection ends, and each stream is whole. With QUIC's own paths 1 to 8 connections of 24 ended in such a run (docs/adr/0019).

import t from 'tap';
import { Endpoint, type EndpointConnection, type QuicStream } from '@ztna/protocol';
import { LossyNetwork } from '@ztna/protocol/testing';
import { eventually } from './eventually.js';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

const CONNECTIONS = 12;
const ROUNDS = 16;
const CHUNK = Buffer.alloc(8192);
const DATAGRAM = Buffer.alloc(1000, 5);

/** Sends without end, each byte one more than that before; checks the same of what comes. */
class Counting {
  received = 0;
  faults = 0;
  #sent = 0;
  readonly #into = Buffer.alloc(65_536);

  constructor(readonly stream: QuicStream) {
    stream.handler = { onReadable: () => this.#read(), onWritable: () => this.write(), onReset: () => this.faults++ };
  }

  write(): void {
    for (let taken = 1; taken > 0; this.#sent += taken) {
      for (let at = 0; at < CHUNK.length; at++) CHUNK[at] = this.#sent + at;
      taken = Math.max(0, this.stream.write(CHUNK, false));
    }
  }

  #read(): void {
    for (let count; (count = this.stream.read(this.#into)) > 0; ) {
      for (let at = 0; at < count; at++) if (this.#into[at] !== (this.received++ & 0xff)) this.faults++;
    }
  }
}

t.setTimeout(120_000);

t.test(`${CONNECTIONS * ROUNDS} changes of address, 1 % loss, both ways under load: no connection ends, no byte is lost`, async (t) => {
  const network = new LossyNetwork({ seed: 7, loss: 0.01, reordering: 0.01, duplication: 0.005, delayMs: 5 });
  const socket = network.openSocket();
  const counting: Counting[] = [];
  const recorders: Recorder[] = [];
  const count = (stream: QuicStream): void => void counting.push(new Counting(stream));
  const accept = (): Recorder => {
    const recorder = new Recorder({
      onStream: (_connection, stream) => {
        count(stream);
        counting.at(-1)!.write();
      },
    });
    recorders.push(recorder);
    return recorder;
  };
  const server = new Endpoint({ socket, isRoaming: true, server: { config: outerServer(), retry: true, maxConnections: CONNECTIONS, accept } });
  const clients = Array.from({ length: CONNECTIONS }, () => {
    const clientSocket = network.openSocket();
    return { clientSocket, endpoint: new Endpoint({ socket: clientSocket, isRoaming: true }), recorder: new Recorder() };
  });
  t.teardown(() => Promise.all([server, ...clients.map(({ endpoint }) => endpoint)].map((endpoint) => endpoint.close('no_error'))));
  const near: EndpointConnection[] = [];
  for (const { endpoint, recorder } of clients) {
    const connection = endpoint.connect(server.local, RELAY_SERVER_NAME, outerClient(), recorder);
    await Promise.all([recorder.established(), eventually(() => recorders[near.length]?.connection?.isEstablished === true)]);
    connection.peer.answerChallenges(recorders[near.length]!.connection!.peer.addressKey!);
    near.push(connection);
    count(connection.openStream()!);
    counting.at(-1)!.write();
  }
  await eventually(() => counting.length === 2 * CONNECTIONS);
  let renewals = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const before = counting.map(({ received }) => received);
    for (const [index, { clientSocket }] of clients.entries()) {
      if (round % 2 === 0) renewals += Number(near[index]!.peer.renewDestinationId());
      clientSocket.rebind();
      for (let n = 0; n < 20; n++) near[index]!.sendDatagram(DATAGRAM);
    }
    await eventually(() => recorders.every((recorder) => recorder.count('migrated') === round));
    await eventually(() => counting.every(({ received }, index) => received > before[index]! + CHUNK.length));
  }
  t.ok(renewals >= (CONNECTIONS * ROUNDS) / 4, `${renewals} times under another connection id`);
  t.equal(near.filter(({ hasEnded }) => hasEnded).length, 0, 'no connection has ended');
  t.equal(counting.reduce((sum, { faults }) => sum + faults, 0), 0, `${counting.reduce((sum, { received }) => sum + received, 0)} bytes, each as it was sent`);
});
