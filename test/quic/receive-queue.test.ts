// QUIC's receive queue drops its oldest datagram without a word when it is full. It must never be.

import t from 'tap';
import { RECEIVE_QUEUE_DATAGRAMS, type DatagramReceiver, type DatagramSocket } from '@ztna/protocol';
import { LossyNetwork } from '@ztna/protocol/testing';
import { eventually } from './eventually.js';
import { confirm, createPair } from './pair.js';
import { innerClient, innerServer, SERVICE_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

t.test('a batch with more datagrams than QUIC holds is delivered whole and in order', async (t) => {
  const network = new LossyNetwork({ seed: 1 });
  const server = holdBack(network.openSocket());
  const far = new Recorder();
  const pair = createPair(t, { clientSocket: network.openSocket(), serverSocket: server.socket, serverConfig: innerServer(), accept: () => far });
  const near = new Recorder();
  const connection = pair.connect(innerClient({ congestionControl: 'reno' }), near, SERVICE_SERVER_NAME);
  await Promise.all([near.established(), far.established()]);
  await confirm(near, far);

  // The congestion window grows with what is acknowledged, until it takes the whole batch.
  const filler = Buffer.alloc(1100);
  for (let round = 0; round < 60; round++) {
    far.forgetDatagrams();
    for (let n = 0; n < 200; n++) connection.sendDatagram(filler);
    await eventually(() => connection.quic.datagramsToSend() === 0 && far.datagrams.length > 0);
  }
  await eventually(() => connection.quic.datagramsToSend() === 0);

  far.forgetDatagrams();
  server.hold();
  let sent = 0;
  const numbered = Buffer.alloc(4);
  for (; sent < 2 * RECEIVE_QUEUE_DATAGRAMS; ) {
    for (let n = 0; n < 500; n++) {
      numbered.writeUInt32BE(sent++);
      connection.sendDatagram(numbered);
    }
    connection.flush();
    if (connection.quic.datagramsToSend() > 0) break;
  }
  const arrived = sent - connection.quic.datagramsToSend();
  t.ok(arrived > RECEIVE_QUEUE_DATAGRAMS * 1.2, `${arrived} datagrams in one batch`);
  server.release();
  await eventually(() => far.datagrams.length >= arrived);
  t.ok(far.datagrams.every((datagram, index) => datagram.readUInt32BE() === index), 'none is missing');
});

/** A socket whose packets wait until they are released, all in one batch. */
function holdBack(socket: DatagramSocket): { socket: DatagramSocket; hold: () => void; release: () => void } {
  let receiver: DatagramReceiver;
  let held: (() => void)[] | undefined;
  const wrapped: DatagramSocket = {
    local: socket.local,
    sendErrors: 0,
    start: (inner) => {
      receiver = inner;
      socket.start({
        onPacket: (packet, host, port) => void (held ? held.push(() => receiver.onPacket(packet, host, port)) : receiver.onPacket(packet, host, port)),
        onBatchEnd: () => void (held ? undefined : receiver.onBatchEnd()),
      });
    },
    sendRun: (...run) => socket.sendRun(...run),
    close: () => socket.close(),
  };
  const release = (): void => {
    const packets = held ?? [];
    held = undefined;
    for (const deliver of packets) deliver();
    receiver.onBatchEnd();
  };
  return { socket: wrapped, hold: () => (held = []), release };
}
