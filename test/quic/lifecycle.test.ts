// A connection's life at its endpoint: identifiers, datagrams, rebinding, and every way it may end.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { DATAGRAM_QUEUED, DATAGRAM_TOO_LARGE, DATAGRAM_UNSUPPORTED, type QuicStream } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { confirm, createInnerPair, createUdpPair } from './pair.js';
import { innerClient, innerServer, outerClient, outerServer, SERVICE_SERVER_NAME } from './pki.js';
import { Recorder, StreamCollector } from './recorder.js';

t.test('fifty handshakes at once, and nothing is left of them after they close', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const clients = Array.from({ length: 50 }, () => new Recorder());
  for (const near of clients) pair.connect(outerClient(), near);
  await Promise.all(clients.map((near) => near.established()));
  await Promise.all(pair.accepted.map((far) => far.established()));
  t.equal(pair.server.connectionCount, 50);
  t.equal(pair.server.connectionIdCount, 50 * 8, 'seven spare connection ids each');
  const empty = [pair.server.whenEmpty(), pair.server.whenEmpty()];
  for (const near of clients) near.connection!.close('no_error');
  const ends = await Promise.all(pair.accepted.map((far) => far.ended()));
  t.ok(ends.every(({ code, by }) => code === 'no_error' && by === 'peer'));
  await Promise.all(empty);
  t.ok(clients.every((near) => near.count('end') === 1));
  // Draining lasts three probe timeouts (RFC 9000 §10.2).
  await eventually(() => pair.server.connectionCount + pair.client.connectionCount === 0);
  t.equal(pair.server.connectionIdCount, 0);
  t.equal(pair.client.connectionCount, 0);
  t.equal(pair.client.connectionIdCount, 0);
});

t.test('a connection id that the peer retires leads nowhere, and another takes its place', async (t) => {
  const { connection, far, server, near } = await createInnerPair(t);
  const before = [...far.connection!.ids];
  t.equal(before.length, 8);
  const moved = server.connectionIdCount;
  // A retired id comes out of QUIC once; the endpoint's own turn is what reads it.
  server.table.unbind(far.connection!, Buffer.from(before[1]!, 'latin1'));
  t.equal(server.connectionIdCount, moved - 1);
  server.table.unbind(far.connection!, Buffer.from(before[1]!, 'latin1'));
  t.equal(server.connectionIdCount, moved - 1, 'twice is once');
  server.table.unbind(far.connection!, Buffer.from('not one of ours'));
  t.equal(server.connectionIdCount, moved - 1);
  connection.sendDatagram(Buffer.from('x'));
  await far.until(() => far.datagrams.length === 1);
  t.equal(near.end, undefined);
});

t.test('ids are renewed a hundred times under loss, in the midst of a transfer, until there is none to spare', async (t) => {
  let received: StreamCollector | undefined;
  const onStream = (_connection: unknown, stream: QuicStream): void => void (received = new StreamCollector(stream));
  const { connection, far, near, server, client } = await createInnerPair(t, { loss: 0.02, reordering: 0.05, delayMs: 2 }, { far: { onStream } });
  const bytes = randomBytes(4 * 1024 * 1024);
  const stream = connection.openStream()!;
  let sent = 0;
  let renewals = 0;
  const write = (): void => {
    for (let taken = 1; taken > 0 && sent < bytes.length; sent += taken) taken = stream.write(bytes.subarray(sent, sent + 16_384), false);
  };
  stream.handler = { onReadable: () => undefined, onWritable: write, onReset: () => undefined };
  write();
  const old = Buffer.from(connection.quic.destinationId()).toString('latin1');
  for (const side of [connection, far.connection!]) {
    let burst = 0;
    while (side.peer.renewDestinationId()) burst++;
    t.equal(burst, 7, 'as many at once as there are spare ones');
  }
  while (renewals < 100) await eventually(() => [connection, far.connection!].some((side) => side.peer.renewDestinationId() && ++renewals > 0));
  await eventually(() => received?.length === bytes.length);
  t.ok(received!.bytes.equals(bytes));
  t.equal(near.end ?? far.end, undefined);
  await eventually(() => !far.connection!.ids.has(old));
  await eventually(() => server.connectionIdCount === 8 && client.connectionIdCount === 8);
});

t.test('a silent connection ends with idle_timeout on both sides', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer({ idleTimeoutMs: 200 }) });
  const near = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 200 }), near);
  await near.established();
  t.match(await near.ended(), { code: 'idle_timeout', by: 'timeout' });
  t.match(await pair.accepted[0]!.ended(), { code: 'idle_timeout', by: 'timeout' });
});

t.test('a ping keeps a connection alive that would have idled out', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer({ idleTimeoutMs: 300 }) });
  const near = new Recorder();
  const connection = pair.connect(outerClient({ idleTimeoutMs: 300 }), near);
  await near.established();
  let pings = 0;
  const timer = setInterval(() => {
    pings++;
    connection.ping();
    near.poke();
  }, 100);
  await near.until(() => pings === 8 || near.end !== undefined);
  clearInterval(timer);
  t.equal(near.end, undefined);
});

t.test('close code and reason reach the peer, and so does what was written just before', async (t) => {
  const collectors: StreamCollector[] = [];
  const { connection, far, near } = await createInnerPair(t, {}, { far: { onStream: (_c, stream) => void collectors.push(new StreamCollector(stream)) } });
  const stream = connection.openStream()!;
  const payload = randomBytes(5000);
  t.equal(stream.write(payload, false), payload.length);
  connection.close('policy_revoked', 'rule 7 was removed');
  connection.close('no_error', 'too late');
  t.same(await far.ended(), { code: 'policy_revoked', reason: 'rule 7 was removed', by: 'peer' });
  t.same(await near.ended(), { code: 'policy_revoked', reason: 'rule 7 was removed', by: 'local' });
  t.same(collectors[0]!.bytes, payload);
  t.equal(collectors[0]!.resetCode, 'policy_revoked');
  t.equal(collectors[0]!.resets, 1);
  t.equal(stream.isDead, true);
  t.equal(stream.write(payload, false), 0);
  t.equal(connection.openStream(), undefined);
});

t.test('a reason of any length and content is clipped and made printable', async (t) => {
  const { connection, far } = await createInnerPair(t);
  connection.close('no_error', `\u001b[31m${'ü'.repeat(5000)}`);
  const { reason } = await far.ended();
  t.ok(reason.length <= 256);
  t.notOk(reason.includes('\u001b'));
  t.match(reason, /ü{100}/);
});

t.test('datagrams cross both ways whole and unchanged, losses aside', async (t) => {
  const { connection, near, far, network } = await createInnerPair(t, { loss: 0.05, duplication: 0.05, reordering: 0.1, seed: 5 });
  const sent = Array.from({ length: 300 }, (_, i) => Buffer.concat([Buffer.of(i >> 8, i & 0xff), randomBytes(1 + ((i * 37) % 1100))]));
  const keys = new Set(sent.map((payload) => payload.toString('latin1')));
  const send = (i: number): void => {
    for (const payload of sent.slice(i, i + 20)) {
      t.equal(connection.sendDatagram(payload), DATAGRAM_QUEUED);
      t.equal(far.connection!.sendDatagram(payload), DATAGRAM_QUEUED);
    }
  };
  for (let i = 0; i < sent.length; i += 20) {
    const before = near.datagrams.length;
    send(i);
    await near.until(() => near.datagrams.length > before);
  }
  t.ok(network.stats.lost > 0 && network.stats.duplicated > 0 && network.stats.reordered > 0);
  for (const side of [near, far]) {
    await side.until(() => side.datagrams.length > 200);
    t.equal(new Set(side.datagrams.map((payload) => payload.toString('latin1'))).size, side.datagrams.length, 'none twice');
    t.ok(side.datagrams.every((payload) => keys.has(payload.toString('latin1'))));
  }
});

t.test('a datagram larger than the path takes is refused; before the handshake none is taken', async (t) => {
  const { connection, client, server } = await createInnerPair(t);
  const limit = connection.quic.maxDatagramBytes();
  t.equal(connection.sendDatagram(Buffer.alloc(limit)), DATAGRAM_QUEUED);
  t.equal(connection.sendDatagram(Buffer.alloc(limit + 1)), DATAGRAM_TOO_LARGE);
  const young = client.connect(server.local, SERVICE_SERVER_NAME, innerClient(), new Recorder());
  t.equal(young.sendDatagram(Buffer.from('x')), DATAGRAM_UNSUPPORTED);
  t.equal(young.openStream(), undefined);
});

t.test('a client whose address changes seven times keeps its connection, and the server is told', async (t) => {
  let collector: StreamCollector | undefined;
  const { connection, far, clientSocket, server } = await createInnerPair(t, { delayMs: 1 }, {
    far: { onStream: (_c, stream) => void (collector = new StreamCollector(stream)) },
  });
  const payload = randomBytes(4 * 1024 * 1024);
  const stream = connection.openStream()!;
  const moves = 7;
  let offset = 0;
  let allowed = payload.length / 16;
  const push = (): void => {
    for (let taken = -1; taken !== 0 && offset < allowed; offset += taken) {
      const chunk = payload.subarray(offset, Math.min(offset + 100_000, allowed));
      taken = stream.write(chunk, offset + chunk.length === payload.length);
    }
  };
  new StreamCollector(stream, push);
  push();
  for (let move = 1; move <= moves; move++) {
    const half = allowed - payload.length / 32;
    await far.until(() => collector !== undefined && collector.length >= half);
    const address = clientSocket.rebind();
    allowed += payload.length / 16;
    push();
    await far.until(() => far.count('migrated') >= move);
    t.same(far.connection!.peer.address, address);
  }
  allowed = payload.length;
  push();
  await far.until(() => collector!.isFinished);
  t.ok(collector!.bytes.equals(payload), 'every byte in its place');
  t.equal(far.connection!.peer.path.from.port, clientSocket.external.port);
  t.equal(server.connectionCount, 1);
});

t.test('a handler that throws ends its own connection with internal_error, and no other', async (t) => {
  const pair = await createUdpPair(t, {
    serverConfig: outerServer(),
    accept: () => new Recorder({
      onDatagram: (_c, payload) => {
        if (payload[0] === 0x21) throw new Error('a bug');
      },
    }),
  });
  const [victim, bystander] = [new Recorder(), new Recorder()];
  pair.connect(outerClient(), victim);
  await victim.established();
  pair.connect(outerClient(), bystander);
  await bystander.established();
  await confirm(victim, pair.accepted[0]!);
  await confirm(bystander, pair.accepted[1]!);
  bystander.connection!.sendDatagram(Buffer.from('.'));
  victim.connection!.sendDatagram(Buffer.from('!'));
  bystander.connection!.sendDatagram(Buffer.from('.'));
  t.match(await victim.ended(), { code: 'internal_error', by: 'peer', reason: 'an internal fault; the logs of the side that reports it say more' });
  t.match(await pair.accepted[0]!.ended(), { code: 'internal_error', by: 'local' });
  await pair.accepted[1]!.until(() => pair.accepted[1]!.datagrams.length === 2);
  t.match(pair.errors, [{ message: 'a bug' }]);
  t.equal(bystander.end, undefined);
  t.equal(pair.accepted[0]!.count('end'), 1);
});

for (const where of ['onStart', 'onEstablished', 'onDelivered', 'onEnd'] as const) {
  t.test(`an exception in ${where} is contained and reported`, async (t) => {
    const recorder = (): Recorder => new Recorder({ [where]: () => { throw new Error(where); } });
    const pair = await createUdpPair(t, { serverConfig: outerServer(), accept: recorder });
    const near = new Recorder({ onEstablished: (connection) => connection.close('no_error') });
    // Turned away before its handshake, a client may be told nothing and tries until it times out.
    pair.connect(outerClient({ idleTimeoutMs: 300 }), near);
    await near.ended();
    const far = pair.accepted[0]!;
    await far.until(() => far.calls.includes('end'));
    await pair.server.whenEmpty();
    t.match(pair.errors[0], { message: where });
    t.equal(far.count('end'), 1);
  });
}

t.test('an exception in a stream handler reaches every other stream and onEnd all the same', async (t) => {
  const collectors: StreamCollector[] = [];
  const { connection, far, errors } = await createInnerPair(t, {}, {
    far: {
      onStream: (_c, stream) => {
        collectors.push(new StreamCollector(stream));
        if (collectors.length > 1) return;
        stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => { throw new Error('reset'); } };
      },
    },
  });
  for (let i = 0; i < 3; i++) connection.openStream()!.write(Buffer.from('x'), false);
  await far.until(() => collectors.length === 3);
  connection.close('draining');
  await far.ended();
  t.match(errors, [{ message: 'reset' }]);
  t.same(collectors.map(({ resets }) => resets), [0, 1, 1]);
});

t.test('an accept that throws turns the client away and keeps the endpoint', async (t) => {
  let isBroken = true;
  const pair = await createUdpPair(t, {
    serverConfig: outerServer(),
    accept: () => {
      if (isBroken) throw new Error('accept');
      return new Recorder();
    },
  });
  const near = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 5000 }), near);
  setImmediate(() => (isBroken = false)).ref();
  await near.established();
  t.pass('the client tried again');
});

t.test('after close or abandon in a handler only onEnd follows', async (t) => {
  for (const how of ['close', 'abandon'] as const) {
    const { connection, far } = await createInnerPair(t, {}, { far: { onDatagram: (c) => c[how]('policy_denied') } });
    for (let i = 0; i < 5; i++) connection.sendDatagram(Buffer.from('x'));
    connection.openStream()!.write(Buffer.from('y'), false);
    t.match(await far.ended(), { code: 'policy_denied', by: 'local' });
    t.same(far.calls, ['start', 'established', 'datagram', 'end'], how);
  }
});

t.test('packets for a connection that ended in the same batch are harmless', async (t) => {
  const { connection, far, near, network, server, clientSocket } = await createInnerPair(t);
  const held: Buffer[] = [];
  network.filter = (packet, from) => {
    if (from.port !== clientSocket.external.port) return true;
    held.push(Buffer.from(packet));
    return false;
  };
  connection.sendDatagram(Buffer.from('one'));
  connection.close('no_error');
  await near.ended();
  t.ok(held.length >= 2, 'the datagram and the close');
  const { host, port } = clientSocket.external;
  server.onPacket(Buffer.from(held[0]!), host, port);
  far.connection!.abandon('draining');
  for (const packet of held) server.onPacket(packet, host, port);
  server.onBatchEnd();
  server.onBatchEnd();
  t.same(far.calls, ['start', 'established', 'end']);
  t.match(far.end, { code: 'draining', by: 'local' });
});

t.test('endpoint.close inside a handler ends every connection once and sends the close to all', async (t) => {
  const pair = await createUdpPair(t, {
    serverConfig: outerServer(),
    accept: () => new Recorder({ onDatagram: () => void pair.server.close('draining') }),
  });
  const clients = Array.from({ length: 5 }, () => new Recorder());
  for (const near of clients) pair.connect(outerClient(), near);
  await Promise.all(clients.map((near) => near.established()));
  // Every far end confirms to whichever client it has.
  await eventually(() => {
    for (const far of pair.accepted) far.connection!.sendDatagram(Buffer.from('confirmed'));
    return clients.every((near) => near.datagrams.length > 0);
  });
  for (const near of clients) near.connection!.sendDatagram(Buffer.from('x'));
  const ends = await Promise.all(clients.map((near) => near.ended()));
  t.ok(ends.every(({ code, by }) => code === 'draining' && by === 'peer'));
  t.ok(pair.accepted.every((far) => far.count('end') === 1));
  t.equal(pair.accepted.reduce((sum, far) => sum + far.datagrams.length, 0), 1, 'nothing is delivered after it');
  t.equal(pair.server.connectionCount, 0);
});

t.test('an endpoint that closes has its farewell reach a peer even when the first packets of it are lost', async (t) => {
  const pair = await createInnerPair(t);
  const server = pair.server.local;
  const farewells = new Map<string, number>();
  pair.network.filter = (packet, from) => {
    if (from.host !== server.host || from.port !== server.port) return true;
    const key = packet.toString('latin1');
    const copy = (farewells.get(key) ?? 0) + 1;
    farewells.set(key, copy);
    return copy > 2;
  };
  await pair.server.close('draining');
  t.match(await pair.near.ended(), { code: 'draining', by: 'peer' });
  t.equal(farewells.size, 1, 'one packet');
  t.same([...farewells.values()], [3], 'three times');
});

t.test('connect at a closed endpoint ends at once, after it returned', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: innerServer() });
  await pair.client.close('draining');
  const near = new Recorder();
  const connection = pair.connect(innerClient(), near);
  t.equal(near.end, undefined);
  t.match(await near.ended(), { code: 'draining', by: 'local' });
  t.equal(connection.hasEnded, true);
  await pair.client.whenEmpty();
});

t.test('a process whose endpoints are closed exits by itself', async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./exit-program.js', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const [code] = (await once(child, 'exit')) as [number];
  t.equal(code, 0);
  t.match(Buffer.concat(output).toString(), /^client ended with draining\n$/);
});
