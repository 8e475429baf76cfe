// The session carrier, the control channel and UDP flows over real connections.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import {
  ControlChannel, createAnswerGate, DatagramType, encodePreambleAnswer, frameControl, HEADER_BYTES, MAX_CONTROL_BACKLOG_BYTES, SessionCarrier, UdpFlow, UdpFlowTable,
  writeHeader,
  type ControlHandler, type ControlMessage, type EndpointConnection, type QuicStream,
} from '@ztna/protocol';
import { createInnerPair, type InnerPair } from './pair.js';
import { eventually } from './eventually.js';

const relayed = (slot: number, tag: number, payload: string, type: DatagramType = DatagramType.data): Buffer => {
  const datagram = Buffer.alloc(HEADER_BYTES + payload.length);
  writeHeader(datagram, type, slot, tag);
  datagram.write(payload, HEADER_BYTES);
  return datagram;
};

const createCarrier = async (t: Test, maxPaths?: number) => {
  const pair = await createInnerPair(t);
  const carrier = new SessionCarrier(maxPaths);
  const received: { readonly payload: string; readonly host: string }[] = [];
  carrier.start({ onPacket: (packet, host) => void received.push({ payload: packet.toString(), host }), onBatchEnd: () => undefined });
  const receive = (datagram: Buffer): boolean => carrier.receive(datagram, datagram.length, pair.connection);
  return { pair, carrier, received, receive };
};

t.test('the carrier delivers what names a session of ours, and nothing else', async (t) => {
  const { pair, carrier, received, receive } = await createCarrier(t);
  const path = carrier.addSession({ slot: 3, tag: 77 }, pair.connection);
  t.equal(receive(relayed(3, 77, 'good')), true);
  t.equal(receive(relayed(3, 78, 'wrong tag')), false);
  t.equal(receive(relayed(4, 77, 'unknown slot')), false);
  t.equal(receive(relayed(3, 77, 'keepalive', DatagramType.keepalive)), false);
  for (let byte = 0; byte < 8; byte++) {
    if (byte === 5) continue; // the type: another one is another message
    const broken = relayed(3, 77, 'bad header');
    broken[byte] = broken[byte]! ^ 0x80;
    t.equal(receive(broken), false, `byte ${byte}`);
  }
  for (let length = 0; length < HEADER_BYTES; length++) t.equal(receive(relayed(3, 77, '').subarray(0, length)), false);
  t.same(received, [{ payload: 'good', host: path.host }]);
});

t.test('a slot used again has its new tag and a new address', async (t) => {
  const { pair, carrier, receive } = await createCarrier(t);
  const old = carrier.addSession({ slot: 1, tag: 10 }, pair.connection);
  const fresh = carrier.addSession({ slot: 1, tag: 11 }, pair.connection);
  t.not(old.host, fresh.host);
  t.equal(carrier.pathCount, 1);
  t.equal(receive(relayed(1, 10, 'old')), false);
  t.equal(receive(relayed(1, 11, 'new')), true);
  t.equal(carrier.sessionAt(old.host), undefined);
  t.same(carrier.sessionAt(fresh.host), { slot: 1, tag: 11 });
  t.same(carrier.removeSession(fresh.host), { slot: 1, tag: 11 });
  t.equal(carrier.removeSession(fresh.host), undefined);
});

t.test('slots are those of the connection they come on: another relay may hand out the same', async (t) => {
  const { pair, carrier, received, receive } = await createCarrier(t);
  const other = await createInnerPair(t);
  const here = carrier.addSession({ slot: 1, tag: 10 }, pair.connection);
  const there = carrier.addSession({ slot: 1, tag: 20 }, other.connection);
  t.equal(receive(relayed(1, 20, 'named by the wrong relay')), false);
  t.equal(receive(relayed(1, 10, 'here')), true);
  const datagram = relayed(1, 20, 'there');
  t.equal(carrier.receive(datagram, datagram.length, other.connection), true);
  t.same(received, [{ payload: 'here', host: here.host }, { payload: 'there', host: there.host }]);
  carrier.removeSession(here.host);
  t.equal(carrier.receive(relayed(1, 20, ''), HEADER_BYTES, other.connection), true, 'the end of one is not the end of the other');
});

t.test('a sweep finds the sessions on which nothing arrived since so many sweeps', async (t) => {
  const { pair, carrier, receive } = await createCarrier(t);
  const used = carrier.addSession({ slot: 1, tag: 1 }, pair.connection);
  const unused = carrier.addSession({ slot: 2, tag: 2 }, pair.connection);
  t.same(carrier.sweep(2), []);
  t.same(carrier.sweep(2), []);
  receive(relayed(1, 1, 'x'));
  t.same(carrier.sweep(2), [unused.host]);
  carrier.removeSession(unused.host);
  t.same(carrier.sweep(2), []);
  t.same(carrier.sweep(2), [used.host]);
});

t.test('made-up addresses are unique, and come round again past those in use', async (t) => {
  const { pair, carrier } = await createCarrier(t, 3000);
  const first = carrier.addSession({ slot: 0, tag: 0 }, pair.connection);
  t.equal(first.host, '10.0.0.1');
  const hosts = new Set([first.host]);
  for (let slot = 1; slot < 2000; slot++) hosts.add(carrier.addSession({ slot, tag: 0 }, pair.connection).host);
  t.equal(hosts.size, 2000);
  for (let tag = 0; tag < 1000; tag++) carrier.addSession({ slot: 2000, tag }, pair.connection);
  carrier.removeSession('10.0.0.42');
  t.equal(carrier.addSession({ slot: 2001, tag: 0 }, pair.connection).host, '10.0.0.42', 'the first that is free again');
  t.notOk(carrier.sessionAt(carrier.local.host));
});

t.test('runs leave as one relayed datagram each, and sends on a removed session are counted', async (t) => {
  const { pair, carrier } = await createCarrier(t);
  const path = carrier.addSession({ slot: 9, tag: 0xdeadbeef }, pair.connection);
  const run = Buffer.from('aaaabbbbcc');
  carrier.sendRun(run, 10, 4, path.host);
  run.fill(0);
  await pair.far.until(() => pair.far.datagrams.length === 3);
  const header = relayed(9, 0xdeadbeef, '');
  t.same(pair.far.datagrams, ['aaaa', 'bbbb', 'cc'].map((text) => Buffer.concat([header, Buffer.from(text)])));
  carrier.sendRun(Buffer.alloc(4000), 4000, 2000, path.host);
  t.equal(carrier.sendErrors, 2, 'never truncated');
  carrier.removeSession(path.host);
  carrier.sendRun(Buffer.from('xyz'), 3, 1, path.host);
  t.equal(carrier.sendErrors, 5);
  const again = carrier.addSession({ slot: 9, tag: 1 }, pair.connection);
  pair.connection.close('no_error');
  await pair.near.ended();
  carrier.sendRun(Buffer.from('x'), 1, 1, again.host);
  t.equal(carrier.sendErrors, 6);
});

interface Control extends ControlHandler {
  readonly events: (ControlMessage | string)[];
}
const recordControl = (): Control => {
  const events: (ControlMessage | string)[] = [];
  return {
    events,
    onMessage: (message) => void events.push(message),
    onFault: (fault) => void events.push(`fault ${fault.code}${fault.fatal ? ' fatal' : ''}`),
    onControlEnd: (code) => void events.push(`end ${code}`),
  };
};

const createControl = async (t: Test) => {
  const far = recordControl();
  let farChannel: ControlChannel | undefined;
  const pair = await createInnerPair(t, {}, { far: { onStream: (_c, stream) => void (farChannel = new ControlChannel(stream, far)) } });
  const stream = pair.connection.openStream()!;
  return { pair, stream, far, channel: () => farChannel! };
};
const PING: ControlMessage = { type: 'ping', timestamp: 1 };

t.test('control messages arrive in order, whatever the packets', async (t) => {
  const { pair, stream, far } = await createControl(t);
  const near = recordControl();
  const channel = new ControlChannel(stream, near);
  const sent = Array.from({ length: 500 }, (_, timestamp): ControlMessage => ({ type: 'ping', timestamp }));
  for (const message of sent) channel.send(message);
  await pair.far.until(() => far.events.length === 500);
  t.same(far.events, sent);
});

t.test('an unknown type is a fault to read on after; a malformed message ends the reading', async (t) => {
  const { pair, stream, far } = await createControl(t);
  const send = (body: Buffer): void => void stream.write(frameControl(body), false);
  send(Buffer.from('a16474797065636e6577', 'hex')); // {type: 'new'}
  send(Buffer.from('a0', 'hex'));
  send(Buffer.from('a16474797065636e6577', 'hex'));
  stream.write(Buffer.alloc(0), true);
  await pair.far.until(() => far.events.length >= 2);
  pair.connection.close('no_error');
  await pair.far.ended();
  t.same(far.events, ['fault unknown_message_type', 'fault control_message_malformed fatal']);
});

t.test('FIN and reset of the control stream are told of, once', async (t) => {
  for (const [act, event] of [
    [(stream: QuicStream) => stream.write(Buffer.alloc(0), true), 'end protocol_error'],
    [(stream: QuicStream) => stream.abort('draining'), 'end draining'],
  ] as const) {
    const { pair, stream, far } = await createControl(t);
    new ControlChannel(stream, recordControl()).send(PING);
    await pair.far.until(() => far.events.length === 1);
    act(stream);
    await pair.far.until(() => far.events.length === 2);
    pair.connection.close('no_error');
    await pair.far.ended();
    t.same(far.events, [PING, event]);
  }
});

t.test('the end of the connection is its handler\'s to hear of, not the channel\'s', async (t) => {
  const { pair, stream, far } = await createControl(t);
  new ControlChannel(stream, recordControl()).send(PING);
  await pair.far.until(() => far.events.length === 1);
  pair.connection.close('policy_revoked', 'the reason');
  t.match(await pair.far.ended(), { code: 'policy_revoked', reason: 'the reason' });
  t.same(far.events, [PING]);
});

t.test('a peer that does not read ends the channel with slow_reader within its bound', async (t) => {
  const pair = await createInnerPair(t, {}, { far: { onStream: (_c, stream) => {
    stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => undefined };
  } } });
  const near = recordControl();
  const channel = new ControlChannel(pair.connection.openStream()!, near);
  const message: ControlMessage = { type: 'error', code: 'internal_error', reason: 'x'.repeat(200), about: '' };
  const limit = Math.ceil((4 * 1024 * 1024 + 2 * MAX_CONTROL_BACKLOG_BYTES) / 200);
  let sent = 0;
  await eventually(() => {
    for (let i = 0; i < 500 && near.events.length === 0; i++, sent++) channel.send(message);
    return near.events.length > 0 || sent > limit;
  });
  t.same(near.events, ['end slow_reader']);
  channel.send(message);
  t.same(near.events, ['end slow_reader'], 'once');
});

interface Ended {
  readonly payloads: Buffer[];
  readonly ends: (string | undefined)[];
}
const createFlows = async (t: Test, onFarStream?: (stream: QuicStream) => void) => {
  const [near, far]: [Ended, Ended] = [{ payloads: [], ends: [] }, { payloads: [], ends: [] }];
  const [nearTable, farTable] = [new UdpFlowTable(), new UdpFlowTable()];
  let farFlow: UdpFlow | undefined;
  const flowOn = (connection: EndpointConnection, stream: QuicStream, table: UdpFlowTable, into: Ended, extra: object = {}): UdpFlow => {
    const flow: UdpFlow = new UdpFlow({
      stream, connection, ...extra,
      onPayload: (payload) => into.payloads.push(Buffer.from(payload)),
      onEnd: (code) => {
        table.remove(flow.id);
        into.ends.push(code);
      },
    });
    table.add(flow);
    return flow;
  };
  const pair: InnerPair = await createInnerPair(t, {}, {
    near: { onDatagram: (_c, payload, length) => nearTable.dispatch(payload.subarray(0, length)) },
    far: {
      onStream: (connection, stream) => (onFarStream ? onFarStream(stream) : void (farFlow = flowOn(connection, stream, farTable, far))),
      onDatagram: (_c, payload, length) => farTable.dispatch(payload.subarray(0, length)),
    },
  });
  const stream = pair.connection.openStream()!;
  return { pair, stream, near, far, farTable, start: (extra?: object) => flowOn(pair.connection, stream, nearTable, near, extra), farFlow: () => farFlow! };
};

t.test('UDP payloads of every size cross unchanged, in datagrams or on the stream', async (t) => {
  const { pair, near, far, start, farFlow } = await createFlows(t);
  const flow = start();
  const sizes = [0, 1, 512, 1200, 1300, 4096, 65_507];
  flow.send(Buffer.alloc(5000)); // on the stream: makes the far end's flow
  await pair.far.until(() => far.payloads.length === 1);
  for (const size of sizes) {
    const payload = randomBytes(size);
    const [atFar, atNear] = [far.payloads.length, near.payloads.length];
    flow.send(payload);
    await pair.far.until(() => far.payloads.length > atFar);
    t.ok(far.payloads.at(-1)!.equals(payload), `${size} up`);
    farFlow().send(payload);
    await pair.near.until(() => near.payloads.length > atNear);
    t.ok(near.payloads.at(-1)!.equals(payload), `${size} down`);
  }
  t.equal(flow.droppedPayloads, 0);
});

t.test('what does not fit is dropped and counted: one frame waits for flow control, no queue', async (t) => {
  const { start } = await createFlows(t, (stream) => {
    stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => undefined };
  });
  const flow = start();
  flow.send(Buffer.alloc(65_536));
  t.equal(flow.droppedPayloads, 1, 'larger than UDP');
  for (let i = 0; i < 100; i++) flow.send(Buffer.alloc(65_507));
  t.ok(flow.droppedPayloads > 50);
});

t.test('a flow closed in good order ends without a code on both sides, and late datagrams go unclaimed', async (t) => {
  for (const side of ['near', 'far'] as const) {
    const { pair, near, far, start, farFlow, farTable } = await createFlows(t);
    const flow = start();
    flow.send(Buffer.alloc(5000));
    await pair.far.until(() => far.payloads.length === 1);
    (side === 'near' ? flow : farFlow()).close();
    await pair.far.until(() => far.ends.length === 1);
    await pair.near.until(() => near.ends.length === 1);
    t.same([near.ends, far.ends], [[undefined], [undefined]], side);
    pair.connection.sendDatagram(Buffer.from('0041', 'hex'));
    await pair.far.until(() => farTable.unclaimed === 1);
    flow.send(Buffer.alloc(10));
    flow.close('flow_idle');
    t.same(near.ends, [undefined], 'once');
  }
});

t.test('a flow closed with a code ends with it on both sides', async (t) => {
  const { pair, near, far, start } = await createFlows(t);
  const flow = start();
  flow.send(Buffer.alloc(5000));
  await pair.far.until(() => far.payloads.length === 1);
  flow.close('flow_idle');
  await pair.far.until(() => far.ends.length === 1);
  t.same([near.ends, far.ends], [['flow_idle'], ['flow_idle']]);
});

t.test('a refused gate ends the flow with its code', async (t) => {
  const { pair, near, start, stream } = await createFlows(t, (remote) => {
    remote.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => undefined };
    remote.write(encodePreambleAnswer({ error: 'policy_denied', reason: 'no' }), true);
  });
  start({ gate: createAnswerGate(() => undefined) });
  stream.write(Buffer.from('x'), false);
  await pair.near.until(() => near.ends.length === 1);
  t.same(near, { payloads: [], ends: ['policy_denied'] });
});

t.test('early bytes and an early FIN count, after the constructor has returned', async (t) => {
  const { start, near, stream } = await createFlows(t);
  stream.write(Buffer.from('x'), false);
  start({ early: Buffer.concat([Buffer.of(0, 2), Buffer.from('ab'), Buffer.of(0, 0)]) });
  t.same(near.payloads, []);
  await eventually(() => near.payloads.length === 2);
  t.same(near.payloads.map(String), ['ab', '']);
});
