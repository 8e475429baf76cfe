// A client's address changes at a server that follows it: what comes of the connection, of what was under way, and of those who would
// have its traffic led elsewhere.

import t, { type Test } from 'tap';
import { ADDRESS_CHECK, ADDRESS_CHECK_BYTES, Endpoint, type EndpointConnection, type QuicStream, type SocketAddress } from '@ztna/protocol';
import { eventually } from './eventually.js';
import { createNatLink, SERVER, type NatLink } from './nat-link.js';
import { outerClient, outerServer, RELAY_SERVER_NAME } from './pki.js';
import { Recorder, StreamCollector } from './recorder.js';

const HOME: SocketAddress = { host: '192.0.2.1', port: 40_000 };
/** quiche's own paths end at seven. */
const MOVES = 40;
const BYTES = 8 * 1024 * 1024;
/** More than two packets, which are what QUIC's probes bring back. */
const LOST_MESSAGES = 12;

interface Roaming extends NatLink {
  readonly server: Endpoint;
  readonly client: Endpoint;
  readonly connection: EndpointConnection;
  readonly accepted: Recorder;
  /** The server's end of the client's stream. */
  readonly control: QuicStream;
  readonly received: StreamCollector;
  readonly moveTo: (address: SocketAddress) => void;
}

const startRoaming = async (t: Test, { answers = true }: { readonly answers?: boolean } = {}): Promise<Roaming> => {
  let mapped = HOME;
  const { near, far } = createNatLink(() => mapped);
  let control: QuicStream | undefined;
  const accepted = new Recorder({
    onStream: (_connection, stream) => {
      control = stream;
      stream.handler = { onReadable: () => stream.read(Buffer.alloc(16)), onWritable: () => undefined, onReset: () => undefined };
    },
  });
  const server = new Endpoint({ socket: far, isRoaming: true, server: { config: outerServer(), retry: true, maxConnections: 1, accept: () => accepted } });
  const client = new Endpoint({ socket: near, isRoaming: true });
  t.teardown(() => Promise.all([client.close('no_error'), server.close('no_error')]));
  const recorder = new Recorder();
  const connection = client.connect(SERVER, RELAY_SERVER_NAME, outerClient(), recorder);
  await Promise.all([recorder.established(), accepted.established()]);
  if (answers) connection.peer.answerChallenges(accepted.connection!.peer.addressKey!);
  const stream = connection.openStream()!;
  const received = new StreamCollector(stream);
  stream.write(Buffer.from('go'), false);
  await eventually(() => control !== undefined);
  return { near, far, server, client, connection, accepted, control: control!, received, moveTo: (address) => (mapped = address) };
};

/** Writes all of it, as there is room. */
const push = (stream: QuicStream, bytes: Buffer): void => {
  let sent = 0;
  const write = (): void => {
    for (let taken = 1; taken > 0 && sent < bytes.length; sent += taken) taken = stream.write(bytes.subarray(sent, sent + 65_536), false);
  };
  stream.handler = { ...stream.handler!, onWritable: write };
  write();
};

/** Of a packet with a short header, and of an address check: the destination's connection id. */
const idOf = (packet: Buffer): string => packet.toString('hex', 1, 17);

const isCheck = ({ packet }: { readonly packet: Buffer }): boolean => packet[0] === ADDRESS_CHECK;

t.test(`a connection goes on through ${MOVES} changes of its client's address, each told once`, async (t) => {
  const { connection, accepted, control, received, moveTo } = await startRoaming(t);
  const pattern = Buffer.alloc(BYTES, 'what is sent arrives, in order. ');
  push(control, pattern);
  for (let move = 1; move <= MOVES; move++) {
    const address = { host: '192.0.2.1', port: HOME.port + move };
    const before = received.length;
    moveTo(address);
    // Acknowledgements of what is under way, or this: the server hears of it by a packet.
    connection.ping();
    await eventually(() => accepted.count('migrated') === move);
    t.same(accepted.connection!.peer.address, address);
    if (received.length < BYTES) await eventually(() => received.length > before);
  }
  await eventually(() => received.length === BYTES);
  t.ok(received.bytes.equals(pattern), 'no byte is lost, doubled or changed');
  t.equal(accepted.count('migrated'), MOVES);
  t.equal(connection.hasEnded, false);
});

t.test('what was under way to an address that the NAT forgot comes again', async (t) => {
  const { connection, control, received, far, moveTo } = await startRoaming(t);
  // After a round of losses QUIC's window may let fewer out.
  let mostLost = 0;
  for (let port = 40_001; port <= 40_005; port++) {
    far.lost.length = 0;
    moveTo({ host: '192.0.2.1', port });
    const length = received.length;
    let expected = '';
    for (let n = 0; n < LOST_MESSAGES; n++) {
      const text = `message ${port}/${n}.`;
      control.write(Buffer.from(text), false);
      expected += text;
      // A packet each.
      await new Promise((resolve) => setImmediate(resolve));
    }
    mostLost = Math.max(mostLost, far.lost.length);
    connection.ping();
    await eventually(() => received.length === length + expected.length);
    t.equal(received.bytes.subarray(length).toString(), expected);
  }
  t.ok(mostLost >= LOST_MESSAGES / 2, `${mostLost} packets lost at once`);
});

t.test('a window full of lost packets does not keep the connection where it was', async (t) => {
  const { connection, accepted, control, received, far, near, moveTo } = await startRoaming(t);
  const pattern = Buffer.alloc(BYTES / 2, 7);
  // Nothing of the client's gets through while the server fills its window, as when a laptop sleeps.
  near.onTransit = () => true;
  moveTo({ host: '198.51.100.9', port: 5 });
  push(control, pattern);
  await eventually(() => accepted.connection!.quic.streamCapacity(control.id) === 0);
  near.onTransit = () => false;
  connection.ping();
  await eventually(() => received.length === pattern.length);
  t.equal(accepted.count('migrated'), 1);
  t.ok(far.lost.length > 2, `${far.lost.length} packets lost`);
});

t.test('lost challenges and lost responses are made up for by the next packet', async (t) => {
  const { connection, accepted, far, near, moveTo } = await startRoaming(t);
  let [challenges, responses] = [0, 0];
  far.onTransit = (transit) => isCheck(transit) && challenges++ < 3;
  near.onTransit = (transit) => isCheck(transit) && responses++ < 3;
  moveTo({ host: '192.0.2.77', port: 1 });
  connection.ping();
  // The client's probes for the ping that is not acknowledged are the next packets.
  await eventually(() => accepted.count('migrated') === 1);
  t.ok(challenges >= 7 && responses === 4, `${challenges} challenges, ${responses} responses`);
});

t.test('nothing but challenges goes to an address that does not answer, and the connection stays where it is', async (t) => {
  const { connection, accepted, control, received, far, near } = await startRoaming(t);
  const victim: SocketAddress = { host: '203.0.113.5', port: 53 };
  // A client that writes the victim's address into what it sends.
  near.onTransit = ({ packet }) => (packet[0] === ADDRESS_CHECK ? false : (setImmediate(() => far.deliver([packet], victim)), true));
  far.lost.length = 0;
  const began = performance.now();
  push(control, Buffer.alloc(BYTES, 1));
  await eventually(() => received.length === BYTES);
  const spent = performance.now() - began;
  const toVictim = far.lost.filter(({ host }) => host === victim.host);
  t.ok(toVictim.length > 0, `${toVictim.length} challenges`);
  t.ok(toVictim.every((transit) => isCheck(transit) && transit.packet.length === ADDRESS_CHECK_BYTES), 'and nothing else');
  t.ok(toVictim.length <= spent / 25 + 1, `at most one in 25 ms, in ${spent.toFixed(0)} ms`);
  t.same(accepted.connection!.peer.address, HOME);
  t.equal(accepted.count('migrated'), 0);
  t.equal(connection.hasEnded, false);
});

t.test('a client that renews its id before it moves is not known again by the ids of its packets, nor by those of the answers', async (t) => {
  const { connection, accepted, server, client, near, far, moveTo } = await startRoaming(t);
  const addresses = Array.from({ length: 30 }, (_, n): SocketAddress => ({ host: '192.0.2.1', port: 50_000 + n }));
  const sentFrom = addresses.map(() => new Set<string>());
  const sentTo = addresses.map(() => new Set<string>());
  const before = new Set<string>();
  for (const [n, address] of addresses.entries()) {
    await eventually(() => connection.peer.renewDestinationId());
    moveTo(address);
    let hasMoved = false;
    near.onTransit = ({ packet }) => (sentFrom[n]!.add(idOf(packet)), (hasMoved = true), false);
    // What goes to the old address once the server has heard from the new one is under the new id, as that has to be heard of.
    far.onTransit = ({ packet }) => (sentTo[n]!.add(idOf(packet)), false);
    connection.ping();
    await eventually(() => accepted.count('migrated') === n + 1);
    t.ok(hasMoved);
    for (const id of sentTo[n]!) t.notOk(before.has(id), 'an id of an answer');
    for (const id of sentTo[n]!) before.add(id);
  }
  const ids = sentFrom.flatMap((set) => [...set]);
  t.ok(ids.length >= addresses.length);
  t.equal(new Set(ids).size, ids.length, 'no id is sent from two addresses');
  t.equal(connection.hasEnded, false);
  // The retired ones are forgotten on both sides, and others take their place.
  await eventually(() => server.connectionIdCount === 8 && client.connectionIdCount === 8);
});

t.test('a late packet under the id that the packet before it retired is dropped, and the connection goes on', async (t) => {
  const { connection, accepted, server, near, far } = await startRoaming(t);
  const held: Buffer[] = [];
  near.onTransit = ({ packet }) => (held.push(Buffer.from(packet)), true);
  connection.ping();
  await eventually(() => held.length > 0);
  const [late] = held;
  held.length = 0;
  t.ok(connection.peer.renewDestinationId());
  await eventually(() => held.length > 0);
  t.not(idOf(held[0]!), idOf(late!));
  near.onTransit = () => false;
  const drops = server.drops.unknown_connection;
  far.deliver([held[0]!, late!], HOME);
  t.equal(server.drops.unknown_connection, drops + 1);
  const taken = accepted.connection!.quic.packetsReceived();
  connection.ping();
  await eventually(() => accepted.connection!.quic.packetsReceived() > taken);
  t.equal(accepted.end, undefined);
  t.equal(connection.hasEnded, false);
});

t.test('packets that somebody recorded, or changed, cause no challenge', async (t) => {
  const { connection, accepted, far, near } = await startRoaming(t);
  const recorded: Buffer[] = [];
  near.onTransit = ({ packet }) => (recorded.push(Buffer.from(packet)), false);
  const before = accepted.connection!.quic.packetsReceived();
  for (let n = 0; n < 20; n++) {
    connection.ping();
    await eventually(() => recorded.length > n);
  }
  await eventually(() => accepted.connection!.quic.packetsReceived() >= before + 20);
  const taken = accepted.connection!.quic.packetsReceived();
  const elsewhere: SocketAddress = { host: '203.0.113.9', port: 9 };
  far.lost.length = 0;
  far.deliver(recorded.map((packet) => Buffer.from(packet)), elsewhere);
  const changed = recorded.map((packet) => Buffer.from(packet));
  for (const packet of changed) packet[packet.length - 1]! ^= 1;
  far.deliver(changed, elsewhere);
  t.equal(far.lost.length, 0, 'nothing is sent there');
  t.equal(accepted.count('migrated'), 0);
  t.equal(accepted.connection!.quic.packetsReceived(), taken, 'and QUIC takes none of them');
});

t.test('a response counts from the address that was asked, once, with the right key', async (t) => {
  const { connection, server, accepted, far, near, moveTo } = await startRoaming(t);
  const next: SocketAddress = { host: '192.0.2.8', port: 8 };
  const responses: Buffer[] = [];
  near.onTransit = (transit) => isCheck(transit) && responses.push(Buffer.from(transit.packet)) > 0;
  moveTo(next);
  connection.ping();
  await eventually(() => responses.length > 0);
  const [response] = responses as [Buffer];
  const refuse = (packet: Buffer, from: SocketAddress, why: string): void => {
    const before = server.drops.address_check_invalid;
    far.deliver([Buffer.from(packet)], from);
    t.equal(server.drops.address_check_invalid, before + 1, why);
    t.same(accepted.connection!.peer.address, HOME, why);
  };
  refuse(response, { host: '203.0.113.1', port: 8 }, 'another host');
  refuse(response, { host: next.host, port: 9 }, 'another port');
  refuse(response, HOME, 'where the client was');
  for (let at = 17; at < response.length; at++) {
    const changed = Buffer.from(response);
    changed[at]! ^= 0x80;
    refuse(changed, next, `byte ${at} changed`);
  }
  for (let length = 17; length < response.length; length++) refuse(response.subarray(0, length), next, `cut to ${length} bytes`);
  refuse(Buffer.concat([response, Buffer.alloc(1)]), next, 'a byte too many');
  const stranger = Buffer.from(response);
  stranger.fill(0xee, 1, 17);
  refuse(stranger, next, 'an id of no connection');
  far.deliver([Buffer.from(response)], next);
  t.same(accepted.connection!.peer.address, next, 'the right one');
  const before = server.drops.address_check_invalid;
  far.deliver([Buffer.from(response)], next);
  t.equal(server.drops.address_check_invalid, before + 1, 'once');
});

t.test('a client answers its server alone, and nobody without the key', async (t) => {
  const { connection, client, near, far, moveTo } = await startRoaming(t);
  const challenges: Buffer[] = [];
  let responses = 0;
  far.onTransit = (transit) => isCheck(transit) && challenges.push(Buffer.from(transit.packet)) > 0;
  near.onTransit = (transit) => isCheck(transit) && ++responses > 0;
  moveTo({ host: '192.0.2.30', port: 3 });
  connection.ping();
  await eventually(() => challenges.length > 0);
  const [challenge] = challenges as [Buffer];
  near.deliver([Buffer.from(challenge)], { host: '203.0.113.66', port: SERVER.port });
  const forged = Buffer.from(challenge);
  forged[20]! ^= 1;
  near.deliver([forged], SERVER);
  t.equal(responses, 0);
  t.equal(client.drops.address_check_invalid, 2);
  near.deliver([Buffer.from(challenge)], SERVER);
  t.equal(responses, 1);
});

t.test('packets from elsewhere are not for a client, nor for a handshake', async (t) => {
  const { near, client, connection, far } = await startRoaming(t, { answers: false });
  const packets: Buffer[] = [];
  far.onTransit = ({ packet }) => (packets.push(Buffer.from(packet)), true);
  connection.ping();
  await eventually(() => packets.length > 0);
  const heard = connection.quic.packetsReceived();
  near.deliver(packets, { host: '203.0.113.66', port: 1 });
  t.equal(connection.quic.packetsReceived(), heard);
  t.ok(client.drops.path_refused > 0);
});

t.test('a client that has no key yet stays where it was', async (t) => {
  const { accepted, connection, far, moveTo } = await startRoaming(t, { answers: false });
  moveTo({ host: '192.0.2.31', port: 3 });
  let challenges = 0;
  far.onTransit = (transit) => isCheck(transit) && ++challenges > 0;
  connection.ping();
  await eventually(() => challenges > 1);
  t.same(accepted.connection!.peer.address, HOME);
});
