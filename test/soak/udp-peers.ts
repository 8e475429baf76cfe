// UDP through the overlay: an echo backend for each service, and clients that send marked datagrams. UDP may lose; what
// may not happen is a datagram that is damaged, comes twice, or comes to someone else.
//
//   0        4         8          12        16
//   | "SOAK" | client  | service  | number  | pattern …

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { seededRandom } from '@ztna/protocol/testing';
import { patternBytes } from '../harness/pattern.js';

const MAGIC = Buffer.from('SOAK');
const HEADER_BYTES = 16;
/** Some are larger than a QUIC datagram takes and travel on the flow's stream. */
const MAX_PAYLOAD_BYTES = 6_000;
const GAP_MS = 15;
/** After the last one was sent. */
const LISTEN_MS = 1_500;

export interface UdpOutcome {
  readonly sent: number;
  readonly answered: number;
  readonly bytes: number;
  /** Each a datagram that broke the promise. */
  readonly faults: readonly string[];
}

const encode = (client: number, service: number, number: number, bytes: number): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(client, 4);
  header.writeUInt32BE(service, 8);
  header.writeUInt32BE(number, 12);
  return Buffer.concat([header, patternBytes(client * 1000 + number, bytes)]);
};

/** Sends `count` datagrams to an agent's port and collects the answers. Client numbers are unique in a run. */
export const runUdpClient = async (client: number, service: number, port: number, count: number, seed: number): Promise<UdpOutcome> => {
  const random = seededRandom(seed);
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const waiting = new Map<number, Buffer>();
  const faults: string[] = [];
  let [answered, bytes] = [0, 0];
  socket.on('error', () => undefined); // an agent that is down: ICMP
  socket.on('message', (reply) => {
    const number = reply.length < HEADER_BYTES ? -1 : reply.readUInt32BE(12);
    const sent = waiting.get(number);
    if (!sent?.equals(reply)) return void faults.push(`UDP client ${client} got ${reply.length} bytes it did not wait for: ${reply.toString('hex', 0, HEADER_BYTES)}`);
    waiting.delete(number);
    answered++;
    bytes += sent.length * 2;
  });
  for (let number = 0; number < count; number++) {
    const payload = encode(client, service, number, Math.floor(random() ** 4 * MAX_PAYLOAD_BYTES));
    waiting.set(number, payload);
    socket.send(payload, port, '127.0.0.1');
    await sleep(GAP_MS);
  }
  await sleep(LISTEN_MS);
  socket.close();
  return { sent: count, answered, bytes, faults };
};

/** Sends everything back, and reports what did not belong here. */
export const openUdpBackend = async (service: number, onFault: (what: string) => void): Promise<Socket> => {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 });
  socket.on('error', () => undefined);
  socket.on('message', (payload, from) => {
    const isOurs = payload.length >= HEADER_BYTES && payload.subarray(0, MAGIC.length).equals(MAGIC) && payload.readUInt32BE(8) === service;
    if (!isOurs) onFault(`UDP service ${service} got ${payload.toString('hex', 0, HEADER_BYTES)}`);
    socket.send(payload, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
