// A client with good papers that writes its own QUIC packets: after an ordinary handshake it takes the traffic
// key from TLS's key log and seals frames the binding would never send (RFC 9001 §5). For a peer that breaks
// QUIC's own rules, which no library helps with.

import { readFileSync } from 'node:fs';
import type { Connection } from '@matrixai/quic/native/types.js';
import type { AbuseLab } from '../abuse-lab.js';
import type { HostileClient } from '../../harness/hostile-client.js';
import { packetKeys, sealPacket, type PacketKeys } from './packet-seal.js';
import { WilfulSocket } from './sockets.js';

/** Far above what the handshake used, so that none is taken for a duplicate. */
const FIRST_PACKET_NUMBER = 1_000;
/** Bytes of frames in one packet of at most 1350. */
export const FRAME_ROOM = 1_300;

let keyLogs = 0;

export class FrameForge {
  readonly client: HostileClient;
  readonly socket: WilfulSocket;
  readonly #native: Connection;
  readonly #port: number;
  readonly #keys: PacketKeys;
  #packetNumber = FIRST_PACKET_NUMBER;
  packetsSent = 0;

  private constructor(client: HostileClient, socket: WilfulSocket, native: Connection, port: number, secret: Buffer) {
    this.client = client;
    this.socket = socket;
    this.#native = native;
    this.#port = port;
    this.#keys = packetKeys(secret);
  }

  /** Connects and greets as `name`; from then on only forged packets leave. */
  static async join(lab: Pick<AbuseLab, 'lab' | 'join' | 'port'>, name: string): Promise<FrameForge> {
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

  /** Gives the relay time to act on what was sent last. */
  drained(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 300));
  }

  /** One 1-RTT packet with these frames. */
  send(...frames: readonly Uint8Array[]): void {
    const header = Buffer.concat([Buffer.of(0x43), this.#native.destinationId()]);
    this.packetsSent++;
    this.socket.inject(sealPacket(this.#keys, header, this.#packetNumber++, Buffer.concat(frames)), this.#port);
  }
}
