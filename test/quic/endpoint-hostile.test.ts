// Packets of strangers: what they cost, and that they leave nothing behind.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { MIN_INITIAL_BYTES, openPlainSocket, SharedRetryKeys, type DatagramSocket, type SocketAddress } from '@ztna/protocol';
import { LossyNetwork, seededRandom } from '@ztna/protocol/testing';
import { eventually } from './eventually.js';
import { confirm, createPair, createUdpPair, type Pair } from './pair.js';
import { outerClient, outerServer } from './pki.js';
import { Recorder, StreamCollector } from './recorder.js';

/** A version 1 Initial that carries nothing but noise. */
const junkInitial = (token: Buffer = Buffer.alloc(0), dcid: Buffer = randomBytes(8), version = 1, size = MIN_INITIAL_BYTES): Buffer => {
  const head = Buffer.concat([
    Buffer.of(0xc0, 0, 0, 0, version), Buffer.of(dcid.length), dcid, Buffer.of(8), randomBytes(8),
    Buffer.of(0x40 | (token.length >> 8), token.length & 0xff), token, Buffer.of(0x44, 0x80),
  ]);
  return Buffer.concat([head, randomBytes(Math.max(0, size - head.length))]);
};

interface Stranger {
  readonly received: Buffer[];
  readonly local: SocketAddress;
  send(packet: Buffer): void;
  /** Resolves when everything sent so far was handled: a version negotiation answer came back. */
  settled(): Promise<void>;
}

const createStranger = async (t: Test, pair: Pair): Promise<Stranger> => {
  const socket: DatagramSocket = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  t.teardown(() => socket.close());
  const received: Buffer[] = [];
  let onFence: (() => void) | undefined;
  const fence = randomBytes(8);
  socket.start({
    onPacket: (packet) => {
      if (packet.includes(fence)) onFence?.();
      else received.push(Buffer.from(packet));
    },
    onBatchEnd: () => undefined,
  });
  const { host, port } = pair.server.local;
  const send = (packet: Buffer): void => socket.sendRun(packet, packet.length, packet.length, host, port);
  return {
    received,
    local: socket.local,
    send,
    settled: () => new Promise((resolve) => {
      onFence = resolve;
      send(junkInitial(undefined, fence, 0x7f));
    }),
  };
};

const setUp = async (t: Test): Promise<{ pair: Pair; stranger: Stranger }> => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  return { pair, stranger: await createStranger(t, pair) };
};

t.test('an unknown version is answered with Version Negotiation that offers version 1', async (t) => {
  const { pair, stranger } = await setUp(t);
  const probe = junkInitial(undefined, Buffer.from('abcdefgh'), 0x5a);
  stranger.send(probe);
  await stranger.settled();
  const [answer] = stranger.received;
  t.ok(answer && (answer[0]! & 0x80) !== 0);
  t.equal(answer?.readUInt32BE(1), 0);
  t.ok(answer!.length < probe.length, 'no amplification');
  t.ok(answer?.includes('abcdefgh'));
  t.ok(answer?.subarray(-8).includes(Buffer.of(0, 0, 0, 1)));
  t.equal(pair.server.connectionCount, 0);
});

t.test('a Version Negotiation packet is never answered', async (t) => {
  const { pair, stranger } = await setUp(t);
  stranger.send(junkInitial(undefined, randomBytes(8), 0));
  await stranger.settled();
  t.same(stranger.received, []);
  t.equal(pair.server.drops.unknown_connection, 1);
});

t.test('an Initial below 1200 bytes is dropped without an answer', async (t) => {
  const { pair, stranger } = await setUp(t);
  stranger.send(junkInitial(undefined, undefined, 1, MIN_INITIAL_BYTES - 1));
  await stranger.settled();
  t.same(stranger.received, []);
  t.equal(pair.server.drops.initial_too_small, 1);
});

t.test('an Initial without a token is answered with one Retry smaller than itself, and no state', async (t) => {
  const { pair, stranger } = await setUp(t);
  stranger.send(junkInitial());
  await stranger.settled();
  t.equal(stranger.received.length, 1);
  t.equal(stranger.received[0]![0]! & 0xf0, 0xf0, 'a Retry');
  t.ok(stranger.received[0]!.length < 200);
  t.equal(pair.server.connectionCount, 0);
});

t.test('an Initial whose destination id is below 8 bytes is dropped', async (t) => {
  const { pair, stranger } = await setUp(t);
  for (const length of [0, 1, 7]) stranger.send(junkInitial(undefined, randomBytes(length)));
  await stranger.settled();
  t.same(stranger.received, []);
  t.equal(pair.server.drops.long_header_malformed, 3);
});

t.test('forged tokens are dropped, and so is a genuine one in another packet', async (t) => {
  const { pair, stranger } = await setUp(t);
  for (const length of [1, 16, 40, 200]) stranger.send(junkInitial(randomBytes(length), randomBytes(16)));
  await stranger.settled();
  t.equal(pair.server.drops.retry_token_invalid, 4);
  stranger.send(junkInitial());
  await stranger.settled();
  const retry = stranger.received[0]!;
  const scidAt = 6 + retry[5]! + 1;
  const scid = Buffer.from(retry.subarray(scidAt, scidAt + 16));
  const token = Buffer.from(retry.subarray(scidAt + 16, -16));
  stranger.send(junkInitial(token, randomBytes(16)));
  await stranger.settled();
  t.equal(pair.server.drops.retry_token_invalid, 5, 'bound to the connection id of its Retry');
  const other = await createStranger(t, pair);
  other.send(junkInitial(token, scid));
  await other.settled();
  t.equal(pair.server.drops.retry_token_invalid, 6, 'bound to the address');
  t.equal(pair.accepted.length, 0);

  stranger.send(junkInitial(token, scid));
  stranger.send(junkInitial(token, scid));
  await stranger.settled();
  t.equal(pair.accepted.length > 0, true, 'the address is proven, the rest is noise');
  for (const recorder of pair.accepted) await recorder.ended();
  t.equal(pair.server.connectionCount, 0, 'noise leaves no connection behind');
  t.equal(pair.server.connectionIdCount, 0);
});

t.test('a flood of junk leaves no state and no memory', async (t) => {
  const { pair, stranger } = await setUp(t);
  const random = seededRandom(7);
  const flood = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 50; i++) {
        const packet = i % 3 === 0 ? junkInitial() : randomBytes(1 + Math.floor(random() * 1400));
        if (i % 3 === 1) packet[0] = 0x40 | packet[0]!;
        stranger.send(packet);
      }
      await stranger.settled();
      stranger.received.length = 0;
    }
  };
  await flood(20);
  const before = process.memoryUsage();
  await flood(100);
  const after = process.memoryUsage();
  t.equal(pair.server.connectionCount, 0);
  t.equal(pair.server.connectionIdCount, 0);
  t.ok(after.rss - before.rss < 32 * 1024 * 1024, `grew by ${after.rss - before.rss} bytes`);
  t.ok(pair.server.drops.not_quic + pair.server.drops.unknown_connection > 1000);
  const near = new Recorder();
  pair.connect(outerClient(), near);
  await near.established();
});

t.test('without Retry, junk that looks like an Initial leaves nothing either', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), retry: false });
  const stranger = await createStranger(t, pair);
  for (let i = 0; i < 50; i++) stranger.send(junkInitial());
  await stranger.settled();
  for (const recorder of pair.accepted) await recorder.ended();
  t.equal(pair.accepted.length, 50);
  t.equal(pair.server.connectionCount, 0);
  t.equal(pair.server.connectionIdCount, 0);
});

t.test('random and damaged packets at a live connection neither throw nor end it', async (t) => {
  const network = new LossyNetwork({ seed: 3 });
  const clientSocket = network.openSocket();
  const pair = createPair(t, { clientSocket, serverSocket: network.openSocket(), serverConfig: outerServer() });
  const near = new Recorder();
  const connection = pair.connect(outerClient(), near);
  await near.established();
  await confirm(near, pair.accepted[0]!);
  const seen: Buffer[] = [];
  network.filter = (packet) => {
    if (seen.length < 100) seen.push(Buffer.from(packet));
    return true;
  };
  const random = seededRandom(11);
  for (let i = 0; i < 20; i++) connection.sendDatagram(randomBytes(100));
  const far = pair.accepted[0]!;
  await far.until(() => far.datagrams.length === 20);
  network.filter = undefined;
  const receiver = pair.server;
  for (const packet of seen) {
    for (let i = 0; i < 20; i++) {
      const damaged = Buffer.from(packet.subarray(0, 1 + Math.floor(random() * packet.length)));
      const at = Math.floor(random() * damaged.length);
      damaged[at] = damaged[at]! ^ (1 + Math.floor(random() * 255));
      receiver.onPacket(damaged, i % 2 ? clientSocket.external.host : '10.9.9.9', i % 2 ? clientSocket.external.port : 1);
    }
  }
  receiver.onBatchEnd();
  connection.sendDatagram(Buffer.from('still here'));
  await far.until(() => far.datagrams.at(-1)?.toString() === 'still here');
  t.equal(far.count('migrated'), 0, 'nobody is moved by packets that do not decrypt');
  t.equal(connection.isEstablished, true);
});

t.test('a source address QUIC cannot parse is dropped, not thrown', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), retry: false });
  pair.server.onPacket(junkInitial(), 'fe80::1%eth0', 4433);
  pair.server.onBatchEnd();
  t.equal(pair.server.drops.rejected, 1);
  t.equal(pair.server.connectionCount, 0);
});

t.test('beyond maxConnections a handshake is turned away, and place is made when one ends', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), maxConnections: 1 });
  const first = new Recorder();
  const connection = pair.connect(outerClient(), first);
  await first.established();
  const second = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 300 }), second);
  t.match(await second.ended(), { code: 'connection_refused', by: 'peer', reason: 'this relay has as many connections as it takes' });
  t.equal(pair.server.drops.too_many_connections, 1);
  connection.close('no_error');
  await first.ended();
  await eventually(() => pair.server.connectionCount === 0);
  const third = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 5000 }), third);
  await third.established();
});

t.test('the control connection takes one stream; a stream that nobody wants is reset at once', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const near = new Recorder();
  const connection = pair.connect(outerClient(), near);
  await near.established();
  t.equal(connection.quic.streamsLeft(), 1);
  const stream = connection.openStream()!;
  const collector = new StreamCollector(stream, () => near.poke());
  t.equal(connection.openStream(), undefined, 'QUIC would end the connection for a second one');
  stream.write(Buffer.from('hello?'), false);
  await near.until(() => collector.resetCode !== undefined);
  t.equal(collector.resetCode, 'unexpected_message');
  t.equal(connection.isEstablished, true);
  t.equal(connection.streamCount, 0);
  t.equal(pair.accepted[0]!.connection!.streamCount, 0);
});

/** The token of the Retry that came last, and the connection id it is bound to. */
const readRetry = (retry: Buffer): { token: Buffer; scid: Buffer } => {
  const scidAt = 6 + retry[5]! + 1;
  return { scid: Buffer.from(retry.subarray(scidAt, scidAt + 16)), token: Buffer.from(retry.subarray(scidAt + 16, -16)) };
};

t.test('beyond the rate no Retry is sent and no token opened, each counted; forged tokens do not use up the Retries', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), validations: { perSecond: 0, burst: 3 } });
  const stranger = await createStranger(t, pair);
  for (let i = 0; i < 5; i++) stranger.send(junkInitial(randomBytes(40), randomBytes(16)));
  await stranger.settled();
  t.equal(pair.server.drops.retry_token_invalid, 3);
  t.equal(pair.server.drops.address_validation_rate, 2);
  for (let i = 0; i < 5; i++) stranger.send(junkInitial());
  await stranger.settled();
  t.equal(stranger.received.length, 3);
  t.equal(pair.server.drops.address_validation_rate, 4);
  pair.server.updateServer({ validations: { perSecond: 1000, burst: 100 } });
  const near = new Recorder();
  pair.connect(outerClient(), near);
  await near.established();
});

t.test('another rate of validations refills nothing: who reloads does not help a flood', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), validations: { perSecond: 0, burst: 10 } });
  const stranger = await createStranger(t, pair);
  const { server } = pair;
  const send = async (count: number, make: () => Buffer): Promise<void> => {
    for (let i = 0; i < count; i++) stranger.send(make());
    await stranger.settled();
  };
  await send(4, () => junkInitial());
  for (const burst of [10, 1000, 7]) server.updateServer({ validations: { perSecond: 0, burst } });
  await send(10, () => junkInitial());
  t.equal(stranger.received.length, 10, 'six were left, whatever the rate was in between');
  await send(10, () => junkInitial(randomBytes(40), randomBytes(16)));
  t.equal(server.drops.retry_token_invalid, 7, 'a lower burst holds at once, also for tokens');
  t.equal(server.drops.address_validation_rate, 4 + 3);
});

t.test('an address validated by one relay is validated for all with the same key file, and for no other', async (t) => {
  const fileKey = randomBytes(32);
  const of = (key: Buffer) => createUdpPair(t, { serverConfig: outerServer(), retryKeys: new SharedRetryKeys(key) });
  const [first, second, stranger3] = [await of(fileKey), await of(fileKey), await of(randomBytes(32))];
  const stranger = await createStranger(t, first);
  stranger.send(junkInitial());
  await stranger.settled();
  const { token, scid } = readRetry(stranger.received[0]!);
  for (const { server } of [second, stranger3]) {
    server.onPacket(junkInitial(token, scid), stranger.local.host, stranger.local.port);
    server.onBatchEnd();
  }
  t.equal(second.server.handshakes.begun, 1);
  t.equal(second.server.drops.retry_token_invalid, 0);
  t.equal(stranger3.server.handshakes.begun, 0);
  t.equal(stranger3.server.drops.retry_token_invalid, 1);
  const changed = new SharedRetryKeys(randomBytes(32));
  first.server.updateServer({ retryKeys: changed });
  first.server.onPacket(junkInitial(token, scid), stranger.local.host, stranger.local.port);
  t.equal(first.server.handshakes.begun, 1, 'a token under way when the file changed is still good');
});
