// A server that was killed and started again, on real sockets: who is told that its connection is gone, how, and
// that nobody else can end a connection, or be sent more than a little, by that way.

import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import type { Test } from 'tap';
import { DEFAULT_RESET_RATE, Endpoint, MIN_RESET_CAUSE_BYTES, openPlainSocket, RESET_BYTES, ResetKey, type DatagramSocket, type SocketAddress } from '@ztna/protocol';
import { tapServerConnections } from '../harness/native-quic.js';
import { eventually } from './eventually.js';
import { confirm } from './pair.js';
import { outerClient, outerServer, RELAY_SERVER_NAME, relayCertificate } from './pki.js';
import { Recorder } from './recorder.js';

const LOOPBACK = '127.0.0.1';
const keyOf = (): ResetKey => ResetKey.derive(Buffer.from(relayCertificate.keyPem));

/** A socket that can be taken away without a word, as by kill -9, and tells what it received. */
class Killable implements DatagramSocket {
  readonly received: Buffer[] = [];
  /** While set, what is sent ends up here and not on the network. */
  stash: Buffer[] | undefined;
  #dead = false;
  readonly #inner: DatagramSocket;

  constructor(inner: DatagramSocket) {
    this.#inner = inner;
  }

  get local(): SocketAddress {
    return this.#inner.local;
  }

  get sendErrors(): number {
    return this.#inner.sendErrors;
  }

  start(receiver: Parameters<DatagramSocket['start']>[0]): void {
    this.#inner.start({
      onPacket: (packet, host, port) => {
        if (this.#dead) return;
        this.received.push(Buffer.from(packet));
        receiver.onPacket(packet, host, port);
      },
      onBatchEnd: () => receiver.onBatchEnd(),
    });
  }

  sendRun(...args: Parameters<DatagramSocket['sendRun']>): void {
    const [run, length] = args;
    if (this.stash) this.stash.push(Buffer.from(run.subarray(0, length)));
    else if (!this.#dead) this.#inner.sendRun(...args);
  }

  async kill(): Promise<void> {
    this.#dead = true;
    await this.#inner.close();
  }

  async close(): Promise<void> {
    if (!this.#dead) await this.#inner.close();
  }
}

interface Running {
  readonly endpoint: Endpoint;
  readonly socket: Killable;
  readonly accepted: Recorder[];
}

const startServer = async (t: Test, port = 0, resetKey: ResetKey | null = keyOf()): Promise<Running> => {
  const socket = new Killable(await openPlainSocket({ host: LOOPBACK, port }));
  const accepted: Recorder[] = [];
  const accept = (): Recorder => {
    accepted.push(new Recorder());
    return accepted.at(-1)!;
  };
  const endpoint = new Endpoint({ socket, server: { config: outerServer(), retry: true, maxConnections: 100, accept, ...(resetKey && { resetKey }) } });
  t.teardown(() => endpoint.close('no_error'));
  return { endpoint, socket, accepted };
};

interface Client extends Running {
  readonly recorder: Recorder;
}

const startClient = async (t: Test, server: Running): Promise<Client> => {
  const socket = new Killable(await openPlainSocket({ host: LOOPBACK, port: 0 }));
  const endpoint = new Endpoint({ socket });
  t.teardown(() => endpoint.close('no_error'));
  const recorder = new Recorder();
  const before = server.accepted.length;
  endpoint.connect(server.endpoint.local, RELAY_SERVER_NAME, outerClient(), recorder);
  await recorder.established();
  await confirm(recorder, server.accepted[before]!);
  return { endpoint, socket, accepted: [], recorder };
};

const restart = async (t: Test, server: Running, key?: ResetKey): Promise<Running> => {
  const { port } = server.endpoint.local;
  await server.socket.kill();
  return startServer(t, port, key);
};

t.test('a client that sends to a restarted server is told at once, in a packet smaller than its own', async (t) => {
  const server = await startServer(t);
  const client = await startClient(t, server);
  const again = await restart(t, server);
  client.socket.received.length = 0;
  const began = performance.now();
  client.recorder.connection!.sendDatagram(randomBytes(200));
  const end = await client.recorder.ended();
  t.match(end, { code: 'connection_lost', by: 'peer', reason: /restarted/ });
  t.ok(performance.now() - began < 1_000, 'no timer was waited for');
  t.equal(again.endpoint.resets?.sent, 1);
  t.strictSame(client.socket.received.map(({ length }) => length), [RESET_BYTES]);
  t.ok(again.socket.received.every(({ length }) => length > RESET_BYTES));
});

t.test('every connection gets a token of its own, though one configuration serves them all', async (t) => {
  const server = await startServer(t);
  const clients = [await startClient(t, server), await startClient(t, server), await startClient(t, server)];
  const tokens = server.accepted.map(({ connection }) => connection!.family!.resetToken.toString('hex'));
  t.equal(new Set(tokens).size, 3);
  await restart(t, server);
  for (const { recorder } of clients) {
    recorder.connection!.sendDatagram(randomBytes(100));
    t.match(await recorder.ended(), { code: 'connection_lost', by: 'peer' });
  }
});

t.test('a client that only pings is told at once, and so is one whose ping was lost and is sent again', async (t) => {
  for (const isLost of [false, true]) {
    const server = await startServer(t);
    const client = await startClient(t, server);
    const { connection } = client.recorder;
    await confirm(client.recorder, server.accepted[0]!);
    const again = await restart(t, server);
    if (isLost) {
      client.socket.stash = [];
      connection!.ping();
      await eventually(() => client.socket.stash!.length > 0);
      client.socket.stash = undefined;
    } else connection!.ping();
    t.match(await client.recorder.ended(), { code: 'connection_lost', by: 'peer' });
    const { length } = again.socket.received[0]!;
    t.ok(length < 43, `for a packet of ${length} bytes`);
    t.same(client.socket.received.at(-1)!.length, length - 1);
  }
});

t.test('a client that sends nothing is told by a prompt of the restarted server', async (t) => {
  const server = await startServer(t);
  const client = await startClient(t, server);
  const { resetToken } = server.accepted[0]!.connection!.family!;
  const { host, port } = client.endpoint.local;
  const again = await restart(t, server);
  again.endpoint.resets!.send(resetToken, host, port);
  t.match(await client.recorder.ended(), { code: 'connection_lost', by: 'peer' });
});

t.test('packets under every id the server has issued since lead to the token of the first', async (t) => {
  const server = await startServer(t);
  await startClient(t, server);
  const { connection } = server.accepted[0]!;
  t.ok(connection!.ids.size > 1, 'spare ids were issued');
  const key = keyOf();
  const tokens = [...connection!.ids].map((id) => key.open(Buffer.from(id, 'latin1'))?.resetToken.toString('hex'));
  t.strictSame([...new Set(tokens)], [connection!.family!.resetToken.toString('hex')]);
});

t.test('a reset with any other token, or from any other address, ends nothing', async (t) => {
  const server = await startServer(t);
  const client = await startClient(t, server);
  const { resetToken } = server.accepted[0]!.connection!.family!;
  const { host, port } = client.endpoint.local;
  const drops = client.endpoint.drops.unknown_connection;
  const FORGED = 300;
  for (let n = 0; n < FORGED; n++) server.endpoint.resets!.send(flipBit(resetToken, n % 128), host, port);
  const stranger = await openPlainSocket({ host: LOOPBACK, port: 0 });
  t.teardown(() => stranger.close());
  stranger.start({ onPacket: () => undefined, onBatchEnd: () => undefined });
  const genuine = Buffer.concat([Buffer.of(0x41), randomBytes(25), resetToken]);
  stranger.sendRun(genuine, genuine.length, genuine.length, host, port);
  await eventually(() => client.endpoint.drops.unknown_connection >= drops + FORGED + 1);
  t.equal(client.endpoint.drops.unknown_connection, drops + FORGED + 1, 'each is counted');
  client.recorder.forgetDatagrams();
  await confirm(client.recorder, server.accepted[0]!);
  t.equal(client.recorder.end, undefined, 'the connection goes on');
});

t.test('a new private key is for new connections; those that stand go on, and are still told by a prompt', async (t) => {
  const server = await startServer(t);
  const older = await startClient(t, server);
  const newKey = new ResetKey(randomBytes(48));
  server.endpoint.updateServer({ config: outerServer(), resetKey: newKey });
  const newer = await startClient(t, server);
  older.recorder.forgetDatagrams();
  await confirm(older.recorder, server.accepted[0]!);
  const { resetToken } = server.accepted[0]!.connection!.family!;
  const { host, port } = older.endpoint.local;
  const again = await restart(t, server, newKey);
  newer.recorder.connection!.sendDatagram(randomBytes(100));
  t.match(await newer.recorder.ended(), { code: 'connection_lost', by: 'peer' });
  t.equal(older.recorder.end, undefined);
  again.endpoint.resets!.send(resetToken, host, port);
  t.match(await older.recorder.ended(), { code: 'connection_lost', by: 'peer' });
});

t.test('a late packet with an id that was retired ends nothing', async (t) => {
  let retire: () => void = () => undefined;
  const untap = tapServerConnections((connection) => (retire = () => connection.retireDestinationCid(0)));
  t.teardown(untap);
  const server = await startServer(t);
  const client = await startClient(t, server);
  const { connection } = server.accepted[0]!;
  const { host, port } = client.endpoint.local;
  server.socket.stash = [];
  connection!.sendDatagram(Buffer.from('late'));
  await eventually(() => server.socket.stash!.length > 0);
  const late = server.socket.stash[0]!;
  server.socket.stash = undefined;
  const oldId = late.toString('latin1', 1, 17);
  t.ok(client.recorder.connection!.ids.has(oldId));
  retire();
  client.recorder.forgetDatagrams();
  await confirm(client.recorder, server.accepted[0]!);
  await eventually(() => !client.recorder.connection!.ids.has(oldId));
  const drops = client.endpoint.drops.unknown_connection;
  server.socket.sendRun(late, late.length, late.length, host, port);
  await eventually(() => client.endpoint.drops.unknown_connection > drops);
  await confirm(client.recorder, server.accepted[0]!);
  t.equal(client.recorder.end, undefined);
});

t.test('a server without the key, and one with another, answers nothing', async (t) => {
  for (const key of [null, new ResetKey(randomBytes(48))]) {
    const server = await startServer(t, 0, keyOf());
    const client = await startClient(t, server);
    const { port } = server.endpoint.local;
    await server.socket.kill();
    const again = await startServer(t, port, key);
    if (!key) t.equal(again.endpoint.resets, undefined);
    client.socket.received.length = 0;
    client.recorder.connection!.sendDatagram(randomBytes(100));
    await eventually(() => again.endpoint.drops.unknown_connection > 0);
    t.strictSame(client.socket.received, []);
    t.equal(client.recorder.end, undefined);
  }
});

t.test('ids of a living connection are not answered, retired ones included', async (t) => {
  const server = await startServer(t);
  await startClient(t, server);
  const { connection } = server.accepted[0]!;
  const retired = connection!.family!.nextId()!; // made for this connection, and not in the table
  const prober = await startProber(t);
  const drops = server.endpoint.drops.unknown_connection;
  prober.send(strayPacket(retired, 100), server.endpoint.local);
  await eventually(() => server.endpoint.drops.unknown_connection > drops);
  t.equal(server.endpoint.resets!.sent, 0);
  t.equal(prober.received.length, 0);
});

t.test('only packets of 22 bytes and more are answered, with one less and 42 at the most', async (t) => {
  const server = await startServer(t);
  const prober = await startProber(t);
  const id = keyOf().firstId();
  for (let size = 17; size < MIN_RESET_CAUSE_BYTES; size++) prober.send(strayPacket(id, size), server.endpoint.local);
  for (const size of [MIN_RESET_CAUSE_BYTES, 36, 42, 43, 100, 1350]) prober.send(strayPacket(id, size), server.endpoint.local);
  await eventually(() => prober.received.length >= 6);
  t.equal(server.endpoint.drops.unknown_connection, MIN_RESET_CAUSE_BYTES - 17 + 6);
  t.strictSame(prober.received.map(({ length }) => length), [21, 35, 41, RESET_BYTES, RESET_BYTES, RESET_BYTES]);
  for (const packet of prober.received) t.equal(packet[0]! & 0xc0, 0x40, 'it has a short header');
  t.equal(new Set(prober.received.map((packet) => packet.subarray(0, 5).toString('hex'))).size, 6, 'and is unpredictable but for the token');
});

t.test('two restarted servers that are set on each other fall silent', async (t) => {
  const [one, two] = [await startServer(t), await startServer(t)];
  const { host, port } = two.endpoint.local;
  // A reset for one of the other's connections, as if that had asked for it.
  for (let n = 0; n < 20; n++) one.endpoint.resets!.send(randomBytes(16), host, port);
  await eventually(() => two.endpoint.drops.unknown_connection >= 20);
  await wait(50);
  t.equal(two.endpoint.resets!.sent, 0);
  t.equal(one.socket.received.length, 0);
});

t.test('a flood with a genuine id is answered at the documented rate, one with made-up ids not at all', async (t) => {
  const server = await startServer(t);
  const prober = await startProber(t);
  const began = performance.now();
  const genuine = keyOf().firstId();
  const FLOOD = 4_000;
  await prober.flood(server, FLOOD, () => strayPacket(genuine, 1_200));
  const seconds = (performance.now() - began) / 1_000;
  const { sent, rateLimited } = server.endpoint.resets!;
  t.equal(sent + rateLimited, FLOOD);
  t.ok(sent <= DEFAULT_RESET_RATE.burst + DEFAULT_RESET_RATE.perSecond * seconds + 1, `${sent} answers in ${seconds.toFixed(2)} s`);
  t.ok(rateLimited > 0);
  t.comment(`${FLOOD} packets of 1200 bytes: ${sent} answers of ${RESET_BYTES}`);
  await prober.flood(server, FLOOD, () => strayPacket(randomBytes(16), 1_200));
  t.equal(server.endpoint.resets!.sent + server.endpoint.resets!.rateLimited, FLOOD);
});

interface Prober {
  readonly received: Buffer[];
  send(packet: Buffer, to: SocketAddress): void;
  /** Sends in steps that the server's socket buffer holds, until it has seen every packet. */
  flood(server: Running, count: number, make: () => Buffer): Promise<void>;
}

const startProber = async (t: Test): Promise<Prober> => {
  const socket = await openPlainSocket({ host: LOOPBACK, port: 0 });
  t.teardown(() => socket.close());
  const received: Buffer[] = [];
  socket.start({ onPacket: (packet) => received.push(Buffer.from(packet)), onBatchEnd: () => undefined });
  const send = (packet: Buffer, { host, port }: SocketAddress): void => socket.sendRun(packet, packet.length, packet.length, host, port);
  const flood = async (server: Running, count: number, make: () => Buffer): Promise<void> => {
    const STEP = 50;
    const { endpoint } = server;
    const start = endpoint.drops.unknown_connection;
    for (let sent = 0; sent < count; ) {
      for (let n = 0; n < STEP; n++) send(make(), endpoint.local);
      sent += STEP;
      await eventually(() => endpoint.drops.unknown_connection >= start + sent);
    }
  };
  return { received, send, flood };
};

const strayPacket = (id: Buffer, size: number): Buffer => Buffer.concat([Buffer.of(0x40), id, randomBytes(size - 1 - id.length)]);

const flipBit = (token: Buffer, bit: number): Buffer => {
  const flipped = Buffer.from(token);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
};

