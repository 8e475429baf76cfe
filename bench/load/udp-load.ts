// Load without QUIC: sends UDP packets at the rate it is told, through a TURN server (RFC 8656) or straight to a
// target, or counts what comes. Says where it is once it could.

import { openDatagramSocket, type SocketAddress } from '@ztna/protocol';
import { Pacer, RUN_PACKETS } from './pacer.js';
import { answerRequests, report, settings } from './requests.js';
import { openTurnChannel } from './turn-channel.js';

export type UdpLoadSettings =
  | { readonly role: 'receive'; readonly host: string }
  | { readonly role: 'send'; readonly host: string; readonly target: SocketAddress; readonly packetBytes: number }
  | { readonly role: 'turn'; readonly host: string; readonly server: SocketAddress; readonly peer: SocketAddress; readonly packetBytes: number };

const load = settings<UdpLoadSettings>();
const socket = await openDatagramSocket({ host: load.host, port: 0 }, { mode: 'auto' });
let received = 0;

if (load.role === 'receive') {
  socket.start({ onPacket: () => void received++, onBatchEnd: () => undefined });
  answerRequests(() => ({ received }));
} else {
  const { target, header } = load.role === 'turn' ? { target: load.server, header: await openTurnChannel(socket, load.server, load.peer) } : { target: load.target, header: Buffer.alloc(0) };
  const bytes = header.length + load.packetBytes;
  if (header.length > 0) header.writeUInt16BE(load.packetBytes, 2);
  const run = Buffer.alloc(RUN_PACKETS * bytes, 7);
  for (let n = 0; n < RUN_PACKETS; n++) header.copy(run, n * bytes);
  const pacer = new Pacer((packets) => socket.sendRun(run, packets * bytes, bytes, target.host, target.port));
  answerRequests(
    () => ({ sent: pacer.sent, refused: socket.sendErrors }),
    ({ rate }) => rate === undefined || pacer.setRate(Number(rate)),
  );
}
report({ ready: true, port: socket.local.port });
