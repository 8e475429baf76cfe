// Handshakes that begin as they should, Retry and all, and then stop: the ClientHello with its token is the last
// the relay hears of them. One socket for each source address, any number of handshakes on it.

import { randomBytes } from 'node:crypto';
import { quiche } from '@matrixai/quic/native/index.js';
import type { Config, Connection } from '@matrixai/quic/native/types.js';
import { createQuicConfig, OUTER_PROFILE } from '@ztna/protocol';
import type { Credentials } from '../../harness/hostile-client.js';
import { UdpSwarm } from './udp-swarm.js';

const ID_BYTES = 16;

export class HalfHandshakes {
  readonly swarm: UdpSwarm;
  readonly #config: Config;
  readonly #serverName: string;
  readonly #relay: { readonly host: string; readonly port: number };
  readonly #byId = new Map<string, Connection>();
  readonly #addresses: readonly string[];
  /** Handshakes the relay answered to after Retry: it holds state for them, or did. */
  answered = 0;
  /** While set, Retries are kept and not followed; `release` follows them. */
  hold = false;
  readonly #held: { readonly packet: Buffer; readonly index: number }[] = [];

  private constructor(swarm: UdpSwarm, addresses: readonly string[], credentials: Credentials, serverName: string, port: number) {
    this.swarm = swarm;
    this.#addresses = addresses;
    this.#serverName = serverName;
    this.#relay = { host: '127.0.0.1', port };
    const pems = { caPem: Buffer.from(credentials.caPem), certificatePem: Buffer.from(credentials.certificatePem), keyPem: Buffer.from(credentials.keyPem) };
    this.#config = (createQuicConfig({ ...OUTER_PROFILE, ...pems }) as unknown as { native: Config }).native;
    swarm.onAnswer = (packet, index) => this.#handle(packet, index);
  }

  static async open(port: number, addresses: readonly string[], credentials: Credentials, serverName: string): Promise<HalfHandshakes> {
    return new HalfHandshakes(await UdpSwarm.open(port, addresses), addresses, credentials, serverName, port);
  }

  /** Sends a first Initial; what has to follow follows by itself. */
  begin(index: number): void {
    const id = randomBytes(ID_BYTES);
    const connection = quiche.Connection.connect(this.#serverName, id, { host: this.#addresses[index]!, port: 1 }, this.#relay, this.#config);
    this.#byId.set(id.toString('latin1'), connection);
    this.#flush(connection, index);
  }

  /** Retries kept so far. */
  get held(): number {
    return this.#held.length;
  }

  release(): void {
    this.hold = false;
    for (const { packet, index } of this.#held.splice(0)) this.#handle(packet, index);
  }

  close(): void {
    this.swarm.close();
    this.#byId.clear();
  }

  #handle(packet: Buffer, index: number): void {
    const id = packet.toString('latin1', 6, 6 + ID_BYTES);
    const connection = this.#byId.get(id);
    if (!connection) return;
    if ((packet[0]! & 0xf0) !== 0xf0) {
      // The ServerHello: more than we want to know.
      this.answered++;
      this.#byId.delete(id);
      return;
    }
    if (this.hold) {
      this.#held.push({ packet: Buffer.from(packet), index });
      return;
    }
    connection.recv(packet, { from: this.#relay, to: { host: this.#addresses[index]!, port: 1 } });
    this.#flush(connection, index);
  }

  #flush(connection: Connection, index: number): void {
    const buffer = Buffer.alloc(1350);
    for (let sent; (sent = connection.send(buffer)); ) this.swarm.send(Buffer.from(buffer.subarray(0, sent[0])), index);
  }
}
