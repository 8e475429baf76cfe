// A client with good papers that writes its own QUIC packets: after an ordinary handshake it takes the traffic
// key from TLS's key log and seals frames the binding would never send (RFC 9001 §5). For a peer that breaks
// QUIC's own rules, which no library helps with.

import { createCipheriv, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Connection } from '@matrixai/quic/native/types.js';
import type { AbuseLab } from '../abuse-lab.js';
import type { HostileClient } from '../../harness/hostile-client.js';
import { WilfulSocket } from './sockets.js';

/** Far above what the handshake used, so that none is taken for a duplicate. */
const FIRST_PACKET_NUMBER = 1_000;
const TAG_BYTES = 16;
/** Bytes of frames in one packet of at most 1350. */
export const FRAME_ROOM = 1_300;

let keyLogs = 0;

export class FrameForge {
  readonly client: HostileClient;
  readonly socket: WilfulSocket;
  readonly #native: Connection;
  readonly #port: number;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  readonly #headerKey: Buffer;
  #packetNumber = FIRST_PACKET_NUMBER;
  packetsSent = 0;

  private constructor(client: HostileClient, socket: WilfulSocket, native: Connection, port: number, secret: Buffer) {
    this.client = client;
    this.socket = socket;
    this.#native = native;
    this.#port = port;
    this.#key = expandLabel(secret, 'quic key', 16);
    this.#iv = expandLabel(secret, 'quic iv', 12);
    this.#headerKey = expandLabel(secret, 'quic hp', 16);
  }

  /** Connects and greets as `name`; from then on only forged packets leave. */
  static async join(lab: AbuseLab, name: string): Promise<FrameForge> {
    const path = lab.lab.path(`forge-${++keyLogs}.keys`);
    let native: Connection | undefined;
    let socket: WilfulSocket | undefined;
    const client = await lab.join('agent', name, [], {
      wrapSocket: (inner) => (socket = new WilfulSocket(inner)),
      prepare: (config) => config.logKeys(),
      tap: (connection) => {
        native = connection;
        connection.setKeylog(path);
      },
    });
    const secret = /^CLIENT_TRAFFIC_SECRET_0 \w+ (\w{64})$/m.exec(readFileSync(path, 'utf8'))?.[1];
    if (secret === undefined) throw new Error('no traffic secret of 32 bytes: another cipher than AES-128-GCM');
    // Its own packets would be out of order with the forged ones and fail to decrypt.
    socket!.isDumb = true;
    return new FrameForge(client, socket!, native!, lab.port, Buffer.from(secret, 'hex'));
  }

  /** One 1-RTT packet with these frames. */
  send(...frames: readonly Uint8Array[]): void {
    const id = this.#native.destinationId();
    const number = Buffer.alloc(4);
    number.writeUInt32BE(this.#packetNumber++);
    const header = Buffer.concat([Buffer.of(0x43), id, number]);
    const plain = Buffer.concat(frames);
    const nonce = Buffer.from(this.#iv);
    for (let i = 0; i < 4; i++) nonce[8 + i]! ^= number[i]!;
    const cipher = createCipheriv('aes-128-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(header);
    const packet = Buffer.concat([header, cipher.update(plain.length < 4 ? Buffer.concat([plain, Buffer.alloc(4)]) : plain), cipher.final(), cipher.getAuthTag()]);
    const sample = packet.subarray(header.length, header.length + 16);
    const mask = createCipheriv('aes-128-ecb', this.#headerKey, null).update(sample);
    packet[0]! ^= mask[0]! & 0x1f;
    for (let i = 0; i < 4; i++) packet[header.length - 4 + i]! ^= mask[1 + i]!;
    this.packetsSent++;
    this.socket.inject(packet, this.#port);
  }
}

/** HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1) with SHA-256, up to 32 bytes. */
const expandLabel = (secret: Buffer, label: string, length: number): Buffer => {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.of(0, length, name.length), name, Buffer.of(0, 1)]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
};
