// The client's side of TURN as far as a load needs it (RFC 8656): one UDP allocation without credentials, one channel
// bound to one IPv4 peer, both asked for until answered. What goes through the channel is the caller's.

import { randomBytes } from 'node:crypto';
import type { SocketAddress, UdpSocket } from '@ztna/protocol';

const ALLOCATE = 0x0003;
const CHANNEL_BIND = 0x0009;
const SUCCESS = 0x0100;
const ERROR = 0x0110;
const CHANNEL_NUMBER = 0x000c;
const XOR_PEER_ADDRESS = 0x0012;
const REQUESTED_TRANSPORT = 0x0019;
const UDP = 17;
const MAGIC_COOKIE = 0x2112_a442;
const HEADER_BYTES = 20;
const TYPE_MASK = 0x3eef;
/** The lowest there is (RFC 8656 §12). */
const CHANNEL = 0x4000;
const RETRY_MS = 500;
const MAX_TRIES = 6;

/**
 * The 4-byte header of ChannelData that reaches the peer; its last two bytes are the length, the caller's to fill in. The
 * allocation lasts 10 minutes and the channel as long, longer than any benchmark sends.
 *
 * @throws Error when the server refuses or does not answer
 */
export const openTurnChannel = async (socket: UdpSocket, server: SocketAddress, peer: SocketAddress): Promise<Buffer<ArrayBuffer>> => {
  let answered: ((type: number, id: Buffer) => void) | undefined;
  socket.start({
    onPacket: (packet) => {
      if (packet.length >= HEADER_BYTES && packet.readUInt32BE(4) === MAGIC_COOKIE) answered?.(packet.readUInt16BE(0), Buffer.from(packet.subarray(8, HEADER_BYTES)));
    },
    onBatchEnd: () => undefined,
  });
  const request = (method: number, attributes: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const id = randomBytes(12);
      const message = encodeMessage(method, id, attributes);
      let tries = 0;
      const send = (): void => {
        if (tries++ === MAX_TRIES) return settle(() => reject(new Error(`the TURN server does not answer method ${method}`)));
        socket.sendRun(message, message.length, message.length, server.host, server.port);
      };
      const timer = setInterval(send, RETRY_MS);
      const settle = (end: () => void): void => {
        clearInterval(timer);
        answered = undefined;
        end();
      };
      answered = (type, seen) => {
        if (!seen.equals(id) || (type & TYPE_MASK) !== method) return;
        if ((type & ERROR) === SUCCESS) settle(resolve);
        else settle(() => reject(new Error(`the TURN server refuses method ${method}`)));
      };
      send();
    });
  await request(ALLOCATE, attribute(REQUESTED_TRANSPORT, Buffer.from([UDP, 0, 0, 0])));
  const channel = Buffer.alloc(4);
  channel.writeUInt16BE(CHANNEL);
  await request(CHANNEL_BIND, Buffer.concat([attribute(CHANNEL_NUMBER, channel), attribute(XOR_PEER_ADDRESS, xorAddress(peer))]));
  return Buffer.from(channel);
};

export const encodeMessage = (method: number, id: Buffer, attributes: Buffer): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(method);
  header.writeUInt16BE(attributes.length, 2);
  header.writeUInt32BE(MAGIC_COOKIE, 4);
  id.copy(header, 8);
  return Buffer.concat([header, attributes]);
};

/** The value is a multiple of 4 bytes long, as all of these are. */
const attribute = (type: number, value: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(type);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value]);
};

/** RFC 8489 §14.2, IPv4. */
export const xorAddress = ({ host, port }: SocketAddress): Buffer => {
  const value = Buffer.alloc(8);
  value.writeUInt8(0x01, 1);
  value.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2);
  const address = Buffer.from(host.split('.').map(Number)).readUInt32BE();
  value.writeUInt32BE((address ^ MAGIC_COOKIE) >>> 0, 4);
  return value;
};
