// What an endpoint makes for strangers, and what not: every limit before any state driven past its bound, with
// others unaffected, and every place given back.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import {
  DEFAULT_HALF_OPEN_LIMITS, DEFAULT_SOURCE_LIMITS, Endpoint, SourceAdmission,
  type Admission, type EndpointConnection, type HalfOpenLimits, type SourceLimits,
} from '@ztna/protocol';
import { LossyNetwork, seededRandom } from '@ztna/protocol/testing';
import { eventually } from './eventually.js';
import { createPair, type Pair } from './pair.js';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

interface Scene {
  readonly network: LossyNetwork;
  readonly admission: SourceAdmission;
  readonly pair: Pair;
  /** A client at an address of its own. */
  readonly addSource: () => Endpoint;
  readonly dial: (from: Endpoint) => { near: Recorder; connection: EndpointConnection };
}

const config = outerClient();

/** `clock` is what buckets refill by; default stands still. */
const setUp = (
  t: Test,
  { sources = {}, halfOpen = {}, clock = () => 0 }: { sources?: Partial<SourceLimits>; halfOpen?: Partial<HalfOpenLimits>; clock?: () => number } = {},
): Scene => {
  const network = new LossyNetwork({ seed: 1 });
  const inner = new SourceAdmission({ halfOpen: { ...DEFAULT_HALF_OPEN_LIMITS, ...halfOpen }, sources: { ...DEFAULT_SOURCE_LIMITS, ...sources } }, clock());
  const admission: Admission = { admit: (peer) => inner.admit(peer, clock()) };
  const pair = createPair(t, { clientSocket: network.openSocket(), serverSocket: network.openSocket(), serverConfig: outerServer(), admission });
  const addSource = (): Endpoint => {
    const endpoint = new Endpoint({ socket: network.openSocket() });
    t.teardown(() => endpoint.close('no_error'));
    return endpoint;
  };
  const dial: Scene['dial'] = (from) => {
    const near = new Recorder();
    return { near, connection: from.connect(pair.server.local, RELAY_SERVER_NAME, config, near) };
  };
  return { network, admission: inner, pair, addSource, dial };
};

const isLong = (packet: Buffer): boolean => (packet[0]! & 0x80) !== 0;
const isRetry = (packet: Buffer): boolean => (packet[0]! & 0xf0) === 0xf0;

void t.test('of 41 handshakes at once from one source 40 pass and one is dropped, counted; another source has its own 40', async (t) => {
  const { pair, dial, addSource, admission } = setUp(t);
  const all = Array.from({ length: 41 }, () => dial(pair.client));
  await eventually(() => pair.server.handshakes.completed === 40 && pair.server.drops.source_handshake_rate === 1);
  t.equal(pair.server.connectionCount, 40);
  t.equal(admission.connections, 40);
  t.equal(all.filter(({ near }) => near.calls.includes('established')).length, 40);
  const other = dial(addSource());
  await other.near.established();
  t.equal(admission.sourcesTracked, 2);
});

void t.test('who met the rate is admitted by the next Initial it sends once the bucket has refilled: no dial is lost', async (t) => {
  let now = 0;
  const { pair, dial } = setUp(t, { sources: { handshakes: { perSecond: 1, burst: 1 } }, clock: () => now });
  const first = dial(pair.client);
  const second = dial(pair.client);
  await eventually(() => pair.server.drops.source_handshake_rate > 0);
  now = 1000;
  await Promise.all([first.near.established(), second.near.established()]);
  t.equal(pair.server.handshakes.begun, 2);
});

void t.test('a 65th connection of a source is refused at once, with the reason; a place that was freed is taken again', async (t) => {
  let now = 0;
  const { pair, dial, addSource, admission } = setUp(t, { clock: () => (now += 50) });
  const all = Array.from({ length: 64 }, () => dial(pair.client));
  for (const { near } of all) await near.established();
  await eventually(() => admission.handshakesInFlight === 0);
  const late = dial(pair.client);
  t.match(await late.near.ended(), { code: 'connection_refused', by: 'peer', reason: 'too many connections from this address at this relay' });
  t.equal(pair.server.drops.source_connections, 1);
  t.equal(pair.server.connectionCount, 64);
  await dial(addSource()).near.established();

  all[0]!.connection.close('no_error');
  await eventually(() => pair.server.connectionCount === 64);
  const next = dial(pair.client);
  await next.near.established();
  t.equal(admission.connections, 65);
});

void t.test('half-open handshakes of many sources fill their places and no more; when they time out an honest client is in', async (t) => {
  const { network, pair, dial, addSource, admission } = setUp(t, { halfOpen: { handshakes: 8, timeoutMs: 400, pressedTimeoutMs: 200 } });
  const silent = new Set<number>();
  // Whoever is silent gets a Retry, so its address is validated, and then nothing.
  network.filter = (packet, _from, to) => !(silent.has(to.port) && isLong(packet) && !isRetry(packet));
  const flood = Array.from({ length: 12 }, () => {
    const source = addSource();
    silent.add(source.local.port);
    return dial(source);
  });
  await eventually(() => admission.handshakesInFlight === 8 && pair.server.drops.half_open_limit >= 4);
  t.equal(pair.server.connectionCount, 8, 'over the cap none is made');
  const honest = dial(pair.client);
  await honest.near.established();
  await eventually(() => pair.server.handshakes.timedOut >= 8);
  t.match(pair.accepted[0]!.end, { code: 'handshake_timeout', by: 'local' });
  for (const { connection } of flood) connection.close('no_error');
  honest.connection.close('no_error');
  await eventually(() => pair.server.connectionCount === 0);
  t.equal(admission.handshakesInFlight, 0);
  t.equal(admission.connections, 0);
});

void t.test('an established connection is not touched by the handshake timeout', async (t) => {
  const { pair, dial, admission } = setUp(t, { halfOpen: { timeoutMs: 150, pressedTimeoutMs: 150 } });
  const { near, connection } = dial(pair.client);
  await near.established();
  await eventually(() => pair.server.handshakes.completed === 1);
  const begun = performance.now();
  await eventually(() => performance.now() - begun > 300);
  connection.sendDatagram(Buffer.from('still here'));
  await pair.accepted[0]!.until(() => pair.accepted[0]!.datagrams.length === 1);
  t.equal(pair.server.handshakes.timedOut, 0);
  t.equal(admission.handshakesInFlight, 0);
});

void t.test('however connections end, every place is given back', async (t) => {
  const random = seededRandom(5);
  const { network, pair, dial, addSource, admission } = setUp(t, { halfOpen: { handshakes: 1000, timeoutMs: 300, pressedTimeoutMs: 300 }, sources: { handshakes: { perSecond: 1000, burst: 1000 } } });
  const silent = new Set<number>();
  network.filter = (packet, _from, to) => !(silent.has(to.port) && isLong(packet) && !isRetry(packet));
  const sources = Array.from({ length: 6 }, addSource);
  silent.add(sources[0]!.local.port);
  const dialed: { near: Recorder; connection: EndpointConnection }[] = [];
  for (let round = 0; round < 60; round++) {
    dialed.push(dial(sources[Math.floor(random() * sources.length)]!));
    const victim = dialed[Math.floor(random() * dialed.length)]!;
    const server = pair.accepted[Math.floor(random() * pair.accepted.length)]?.connection;
    switch (Math.floor(random() * 5)) {
      case 0: victim.connection.close('no_error'); break;
      case 1: victim.connection.abandon('no_error'); break;
      case 2: server?.close('draining'); break;
      case 3: server?.abandon('internal_error'); break;
      default: await new Promise((resolve) => setImmediate(resolve));
    }
    const live = admission.connections;
    if (live !== pair.server.connectionCount) t.equal(live, pair.server.connectionCount, `round ${round}: one place for each connection in the table`);
  }
  for (const { connection } of dialed) connection.close('no_error');
  await eventually(() => pair.server.connectionCount === 0);
  t.equal(admission.connections, 0);
  t.equal(admission.handshakesInFlight, 0);
  const { begun, completed, failed, timedOut } = pair.server.handshakes;
  t.ok(begun > 30);
  t.equal(completed + failed + timedOut, begun);
});

void t.test('a server that stops gives every place back at once', async (t) => {
  const { pair, dial, admission } = setUp(t);
  for (let i = 0; i < 5; i++) dial(pair.client);
  await eventually(() => pair.server.handshakes.begun === 5);
  await pair.server.close('draining');
  t.equal(admission.connections, 0);
  t.equal(admission.handshakesInFlight, 0);
});

void t.test('a handler that refuses the client, or throws, leaves no place taken', async (t) => {
  let calls = 0;
  const network = new LossyNetwork({ seed: 1 });
  const admission = new SourceAdmission({ halfOpen: DEFAULT_HALF_OPEN_LIMITS, sources: DEFAULT_SOURCE_LIMITS }, 0);
  const pair = createPair(t, {
    clientSocket: network.openSocket(),
    serverSocket: network.openSocket(),
    serverConfig: outerServer(),
    admission,
    accept: () => {
      if (calls++ === 0) throw new Error('a bug');
      return undefined;
    },
  });
  const near = new Recorder();
  pair.connect(config, near);
  await near.ended();
  t.equal(calls, 2, 'the client tried again where nobody answered');
  t.equal(pair.errors.length, 1);
  t.equal(admission.connections, 0);
  t.equal(admission.handshakesInFlight, 0);
});

void t.test('before validation no Initial is answered with more than it brought, and a refusal is smaller still', async (t) => {
  const { network, pair, addSource } = setUp(t, { sources: { connections: 1 } });
  const from = addSource();
  const bytes = { in: 0, out: 0, largest: 0 };
  network.filter = (packet, _from, to) => {
    if (to.port !== from.local.port) return true;
    bytes.out += packet.length;
    bytes.largest = Math.max(bytes.largest, packet.length);
    return false;
  };
  const shapes: Buffer[] = [];
  for (const size of [20, 1199, 1200, 1350, 1472])
    for (const version of [0, 1, 0x5a, 0xff00_001d])
      for (const dcid of [0, 7, 8, 20, 21, 255])
        for (const scid of [0, 8, 20, 21])
          for (const token of [0, 35, 600]) shapes.push(initial({ size, version, dcid, scid, token }));
  for (const packet of shapes) {
    const before = bytes.out;
    bytes.in += packet.length;
    const length = packet.length;
    pair.server.onPacket(packet, from.local.host, from.local.port);
    if (bytes.out - before > length) t.fail(`${length} bytes were answered with ${bytes.out - before}`);
  }
  t.ok(bytes.out > 0, 'some are answered');
  t.ok(bytes.out / bytes.in < 0.2, `${bytes.out} bytes out for ${bytes.in} in: ${(bytes.out / bytes.in).toFixed(3)}`);
  t.ok(bytes.largest < 200, `the largest answer is ${bytes.largest} bytes`);
  t.equal(pair.server.connectionCount, 0);
});

const initial = ({ size, version, dcid, scid, token }: { size: number; version: number; dcid: number; scid: number; token: number }): Buffer => {
  const head = Buffer.alloc(5);
  head[0] = 0xc0;
  head.writeUInt32BE(version, 1);
  const front = Buffer.concat([
    head, Buffer.of(dcid), randomBytes(dcid), Buffer.of(scid), randomBytes(scid),
    Buffer.of(0x40 | (token >> 8), token & 0xff), randomBytes(token), Buffer.of(0x44, 0x80),
  ]);
  return Buffer.concat([front, randomBytes(Math.max(0, size - front.length))]).subarray(0, size);
};
