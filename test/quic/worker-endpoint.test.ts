// Two endpoints with one key on one shared port, as two workers of a relay are: a connection stays with the one its client
// asked for, wherever its packets come from.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { adoptDatagramSocket, Endpoint, leadsTo, MIN_RESET_CAUSE_BYTES, openPlainSocket, openSharedPort, ResetKey, type DatagramReceiver, type DatagramSocket, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { confirm } from './pair.js';
import { outerClient, outerServer, relayCertificate, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

const COUNT = 2;
const ANYWHERE = { host: '127.0.0.1', port: 0 };
const unsupported = process.platform === 'linux' ? false : 'only Linux has such ports';

interface Worker {
  readonly endpoint: Endpoint;
  readonly accepted: Recorder[];
}

interface Workers {
  readonly local: SocketAddress;
  readonly workers: readonly Worker[];
}

const startWorkers = async (t: Test): Promise<Workers> => {
  const port = await openSharedPort(ANYWHERE, COUNT);
  const resetKey = ResetKey.derive(Buffer.from(relayCertificate.keyPem));
  const workers: Worker[] = [];
  for (const [index, fd] of port.descriptors.entries()) {
    const accepted: Recorder[] = [];
    const accept = (): Recorder => {
      accepted.push(new Recorder());
      return accepted.at(-1)!;
    };
    const socket = await adoptDatagramSocket(fd, port.local, { mode: 'auto' });
    const endpoint = new Endpoint({ socket, server: { config: outerServer(), retry: true, maxConnections: 100, accept, resetKey, worker: { index, count: COUNT } } });
    t.teardown(() => endpoint.close('no_error'));
    workers.push({ endpoint, accepted });
  }
  return { local: port.local, workers };
};

/** A client behind a NAT that forgets: from `rebind` on its packets come from another port. */
class Rebinding implements DatagramSocket {
  readonly local: SocketAddress;
  readonly sendErrors = 0;
  #socket: DatagramSocket;
  #receiver: DatagramReceiver | undefined;

  constructor(socket: DatagramSocket) {
    this.#socket = socket;
    this.local = socket.local;
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
    this.#socket.start(receiver);
  }

  sendRun(...args: Parameters<DatagramSocket['sendRun']>): void {
    this.#socket.sendRun(...args);
  }

  async rebind(): Promise<void> {
    await this.#socket.close();
    this.#socket = await openPlainSocket(ANYWHERE);
    this.#socket.start(this.#receiver!);
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

t.test('a client reaches the worker it asks for, through Retry and handshake, every time', { skip: unsupported }, async (t) => {
  const { local, workers } = await startWorkers(t);
  for (let n = 0; n < 12; n++) {
    const index = n % COUNT;
    const endpoint = new Endpoint({ socket: await openPlainSocket(ANYWHERE) });
    t.teardown(() => endpoint.close('no_error'));
    const recorder = new Recorder();
    endpoint.connect(local, RELAY_SERVER_NAME, outerClient(), recorder, { index, count: COUNT });
    await recorder.established();
    t.equal(workers[index]!.accepted.length, Math.floor(n / COUNT) + 1);
    const server = workers[index]!.accepted.at(-1)!;
    await confirm(recorder, server);
    const ids = [...server.connection!.ids].map((id) => Buffer.from(id, 'latin1'));
    t.ok(ids.length > 1 && ids.every((id) => leadsTo(id, { index, count: COUNT })), 'and every id it is given leads back there');
  }
  for (const { endpoint } of workers) t.equal(endpoint.drops.unknown_connection, 0);
});

t.test('a client whose address changes stays with its worker', { skip: unsupported }, async (t) => {
  const { local, workers } = await startWorkers(t);
  for (const [index, { accepted }] of workers.entries()) {
    const socket = new Rebinding(await openPlainSocket(ANYWHERE));
    const endpoint = new Endpoint({ socket });
    t.teardown(() => endpoint.close('no_error'));
    const recorder = new Recorder();
    endpoint.connect(local, RELAY_SERVER_NAME, outerClient(), recorder, { index, count: COUNT });
    await recorder.established();
    await confirm(recorder, accepted[0]!);
    // By the kernel's hash of addresses half of these would come to the other worker.
    for (let n = 0; n < 5; n++) {
      await socket.rebind();
      accepted[0]!.forgetDatagrams();
      // The worker learns of the new address by what comes from it.
      await eventually(() => {
        recorder.connection!.sendDatagram(randomBytes(200));
        return accepted[0]!.datagrams.length > 0;
      });
    }
    t.equal(recorder.end, undefined);
    t.equal(accepted.length, 1);
  }
  for (const { endpoint } of workers) t.equal(endpoint.drops.unknown_connection, 0);
});

t.test('a worker that gets packets of another one by mistake neither ends nor betrays its connection', { skip: unsupported }, async (t) => {
  const { local, workers } = await startWorkers(t);
  const endpoint = new Endpoint({ socket: await openPlainSocket(ANYWHERE) });
  t.teardown(() => endpoint.close('no_error'));
  const recorder = new Recorder();
  endpoint.connect(local, RELAY_SERVER_NAME, outerClient(), recorder, { index: 1, count: COUNT });
  await recorder.established();
  await confirm(recorder, workers[1]!.accepted[0]!);
  const [wrong, right] = [workers[0]!.endpoint, workers[1]!.endpoint];
  const dropped = wrong.drops.unknown_connection;
  for (const id of workers[1]!.accepted[0]!.connection!.ids) {
    const packet = Buffer.concat([Buffer.of(0x41), Buffer.from(id, 'latin1'), randomBytes(2 * MIN_RESET_CAUSE_BYTES)]);
    wrong.onPacket(packet, endpoint.local.host, endpoint.local.port);
  }
  await eventually(() => wrong.drops.unknown_connection > dropped);
  t.equal(wrong.resets!.sent, 0, 'its reset token stays secret while it lives');
  recorder.forgetDatagrams();
  await confirm(recorder, workers[1]!.accepted[0]!);
  t.equal(recorder.end, undefined);
  t.equal(right.resets!.sent, 0);
});
