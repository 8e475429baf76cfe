// What somebody on the wire sees of a transfer of known plaintext, TCP and UDP, both ways: nothing. The same
// search finds it in a capture in front of the backend, where it has to be.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { startEcho } from '../harness/innocent-flow.js';
import { Lab } from '../harness/lab.js';
import { createMarker, mayPeek, piecesOf, repeatMarker } from '../harness/marker.js';
import { PacketCapture } from '../harness/packet-capture.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const TCP_BYTES = 1024 * 1024;
const UDP_DATAGRAMS = 200;
const UDP_BYTES = 1024;
/** Each byte crosses the relay's port four times: agent to relay, relay to connector, and back. */
const CROSSINGS = 4;

t.test('a capture of the relay\'s port during a transfer of known plaintext shows none of it', async (t) => {
  if (!mayPeek(t, ['tcpdump'])) return;
  const lab = Lab.create(t);
  const echo = await startEcho(t);
  const udpBackend = createSocket('udp4');
  t.teardown(() => new Promise<void>((resolve) => udpBackend.close(() => resolve())));
  udpBackend.on('message', (payload, { port, address }) => udpBackend.send(payload, port, address));
  udpBackend.bind(0, '127.0.0.1');
  await once(udpBackend, 'listening');
  const udpPort = udpBackend.address().port;

  lab.enrol('agent', 'alice');
  lab.enrol('connector', 'con-1', ['web', 'dns']);
  await lab.startRelay([{ allow: ['alice'], services: ['web', 'dns'] }]);
  // From before the first handshake on: it, too, must show nothing.
  const wire = await PacketCapture.start(`udp port ${lab.relayPort}`);
  const backends = await PacketCapture.start(`tcp port ${echo.port} or udp port ${udpPort}`);
  await lab.startConnector('con-1', { web: { backend: `127.0.0.1:${echo.port}` }, dns: { protocol: 'udp', backend: `127.0.0.1:${udpPort}` } });
  const alice = await lab.startAgent('alice', [{ service: 'web' }, { service: 'dns', protocol: 'udp' }]);

  const tcpMarker = createMarker('tcp');
  const udpMarker = createMarker('udp');
  t.same(await echoTcp(alice.port('web'), repeatMarker(tcpMarker, TCP_BYTES)), repeatMarker(tcpMarker, TCP_BYTES), 'it crossed and came back');
  await echoUdp(alice.port('dns'), repeatMarker(udpMarker, UDP_BYTES));

  const udpTotal = UDP_DATAGRAMS * UDP_BYTES;
  await backends.whenBytes(2 * (TCP_BYTES + udpTotal));
  await wire.whenBytes(CROSSINGS * (TCP_BYTES + udpTotal));
  const packets = await wire.stop();
  await backends.stop();

  const secrets = { tcp: piecesOf(tcpMarker), udp: piecesOf(udpMarker), name: [Buffer.from('.svc.example.test'), Buffer.from('spiffe://')] };
  for (const [what, pieces] of Object.entries(secrets)) {
    for (const piece of pieces) t.notOk(wire.bytes.includes(piece), `${what}: ${piece.toString()} is not on the wire`);
  }
  for (const piece of [...secrets.tcp, ...secrets.udp]) t.ok(backends.bytes.includes(piece), `${piece.toString()} is in front of the backends`);
  // A capture on loopback sees a batched run as one packet of up to 64 KiB.
  t.ok(packets > (CROSSINGS * TCP_BYTES) / 65_536, `${packets} packets were captured`);
  checkNoSecretsLogged(t, lab);
});

async function echoTcp(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.end(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** One at a time: each is answered before the next is sent. */
async function echoUdp(port: number, payload: Buffer): Promise<void> {
  const socket = createSocket('udp4');
  for (let sent = 0; sent < UDP_DATAGRAMS; sent++) {
    socket.send(payload, port, '127.0.0.1');
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(20_000) })) as [Buffer];
    if (!answer.equals(payload)) throw new Error('another datagram came back');
  }
  socket.close();
}
