// Relay sessions as a datagram socket: the inner QUIC endpoint's network. Each session is a path with
// a made-up peer address, so that QUIC's own path validation and migration can move an inner
// connection between sessions, relays and (later) direct UDP without the flows noticing. Slots are each
// relay's own: what a datagram belongs to is looked up among the sessions of the connection it came on.
// Owns the datagram header on the client side; who may have a session is the machines' business.

import { checkHeader, DatagramType, HEADER_BYTES, readSlot, readTag, readType, writeHeader } from '../wire/datagram-header.js';
import type { SessionHandle } from '../wire/control-messages.js';
import { DATAGRAM_QUEUED } from '../quic/port.js';
import type { EndpointConnection } from '../quic/endpoint-connection.js';
import type { DatagramReceiver, DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';

/** Made-up addresses never reach a network. 10/8 gives 2^24 - 2 of them beside our own, handed out by this side alone. */
const PATH_PORT = 1;
const LOCAL: SocketAddress = { host: '10.255.255.255', port: PATH_PORT };
const MAX_PATHS = 0xff_fffe;
/** Inner packets are at most 1280 bytes. */
const MAX_PACKET_BYTES = 1500;

interface SessionPath {
  readonly handle: SessionHandle;
  readonly address: SocketAddress;
  readonly outer: EndpointConnection;
  /** Sweeps since something arrived on it. */
  quietSweeps: number;
}

type Slots = Map<number, SessionPath>;

export class SessionCarrier implements DatagramSocket {
  readonly local = LOCAL;
  sendErrors = 0;
  readonly #byOuter = new Map<EndpointConnection, Slots>();
  readonly #byHost = new Map<string, SessionPath>();
  readonly #packet = Buffer.allocUnsafeSlow(HEADER_BYTES + MAX_PACKET_BYTES);
  #receiver: DatagramReceiver | undefined;
  readonly #maxPaths: number;
  #nextPath = 1;

  /** @param maxPaths addresses before the first is handed out again; more than sessions are ever open at once */
  constructor(maxPaths = MAX_PATHS) {
    this.#maxPaths = maxPaths;
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  get pathCount(): number {
    return this.#byHost.size;
  }

  /** Adds a session carried by `outer`; returns the made-up address of its far end, by which it goes from here on. */
  addSession(handle: SessionHandle, outer: EndpointConnection): SocketAddress {
    const slots: Slots = this.#byOuter.get(outer) ?? new Map<number, SessionPath>();
    this.#byOuter.set(outer, slots);
    const before = slots.get(handle.slot);
    if (before) this.#byHost.delete(before.address.host);
    const host = this.#allocateHost();
    const path = { handle, outer, address: { host, port: PATH_PORT }, quietSweeps: 0 };
    slots.set(handle.slot, path);
    this.#byHost.set(host, path);
    return path.address;
  }

  /** Forgets the session behind a made-up host; returns its handle. */
  removeSession(host: string): SessionHandle | undefined {
    const path = this.#byHost.get(host);
    if (!path) return undefined;
    this.#byHost.delete(host);
    const slots = this.#byOuter.get(path.outer);
    slots?.delete(path.handle.slot);
    if (slots?.size === 0) this.#byOuter.delete(path.outer);
    return path.handle;
  }

  /** The session behind a made-up host. */
  sessionAt(host: string): SessionHandle | undefined {
    return this.#byHost.get(host)?.handle;
  }

  /** Begins another sweep; returns the hosts on whose sessions nothing has arrived for `sweeps` of them or more. */
  sweep(sweeps: number): string[] {
    const quiet: string[] = [];
    for (const [host, path] of this.#byHost) {
      if (path.quietSweeps >= sweeps) quiet.push(host);
      else path.quietSweeps += 1;
    }
    return quiet;
  }

  /** Hands a datagram that came on `outer` to the inner endpoint. False when no session of ours claims it. */
  receive(datagram: Buffer, length: number, outer: EndpointConnection): boolean {
    if (checkHeader(datagram, length) !== undefined || readType(datagram) !== DatagramType.data) return false;
    const path = this.#byOuter.get(outer)?.get(readSlot(datagram));
    if (!path || path.handle.tag !== readTag(datagram)) return false;
    path.quietSweeps = 0;
    this.#receiver?.onPacket(datagram.subarray(HEADER_BYTES, length), path.address.host, PATH_PORT);
    return true;
  }

  /** The outer connection has delivered its batch. */
  endBatch(): void {
    this.#receiver?.onBatchEnd();
  }

  sendRun(run: Buffer, length: number, segment: number, host: string): void {
    const path = this.#byHost.get(host);
    if (!path?.outer.isEstablished || segment > MAX_PACKET_BYTES) {
      this.sendErrors += Math.ceil(length / segment); // the session ended while packets were under way
      return;
    }
    const packet = this.#packet;
    writeHeader(packet, DatagramType.data, path.handle.slot, path.handle.tag);
    const whole = packet.subarray(0, HEADER_BYTES + segment);
    for (let offset = 0; offset < length; offset += segment) {
      const end = Math.min(offset + segment, length);
      run.copy(packet, HEADER_BYTES, offset, end);
      const outcome = path.outer.sendDatagram(end - offset === segment ? whole : packet.subarray(0, HEADER_BYTES + end - offset));
      if (outcome !== DATAGRAM_QUEUED) this.sendErrors++;
    }
  }

  close(): Promise<void> {
    this.#byOuter.clear();
    this.#byHost.clear();
    this.#receiver = undefined;
    return Promise.resolve();
  }

  #allocateHost(): string {
    for (;;) {
      const n = this.#nextPath;
      this.#nextPath = n >= this.#maxPaths ? 1 : n + 1;
      const host = `10.${n >>> 16}.${(n >>> 8) & 0xff}.${n & 0xff}`;
      if (!this.#byHost.has(host)) return host;
    }
  }
}
