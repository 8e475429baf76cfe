// Relay sessions as a datagram socket: the inner QUIC endpoint's network. Each session is a path with
// a made-up peer address, so that QUIC's own path validation and migration can move an inner
// connection between sessions, relays and (later) direct UDP without the flows noticing. Slots are each
// relay's own: what a datagram belongs to is looked up among the sessions of the connection it came on.
// Owns the datagram header on the client side; who may have a session is the machines' business.

import { performance } from 'node:perf_hooks';
import { QueueBudget } from '../limits/queue-budget.js';
import { DatagramCounters } from '../machine/datagram-counters.js';
import { checkHeader, DatagramType, HEADER_BYTES, readSlot, readTag, readType, writeHeader } from '../wire/datagram-header.js';
import type { SessionHandle } from '../wire/control-messages.js';
import type { DropReason } from '../wire/drop-reasons.js';
import type { EndpointConnection } from '../quic/endpoint-connection.js';
import type { DatagramReceiver, DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import { OutboundQueue } from './outbound-queue.js';
import { PartyNumbers } from './party-numbers.js';

/** Made-up addresses never reach a network. 10/8 gives 2^24 - 2 of them beside our own, handed out by this side alone. */
const PATH_PORT = 1;
const LOCAL: SocketAddress = { host: '10.255.255.255', port: PATH_PORT };
const MAX_PATHS = 0xff_fffe;
/** Inner packets are at most 1280 bytes. */
const MAX_PACKET_BYTES = 1500;
/** Memory for what waits to leave: a full queue (4096 datagrams, 4 MiB) towards the relay, and as much again while links change. */
const QUEUE_BUDGET = { bytes: 12 * 1024 * 1024, flows: 8192, strainedFrom: 1 };

interface SessionPath {
  readonly handle: SessionHandle;
  readonly address: SocketAddress;
  readonly outer: EndpointConnection;
  /** Sweeps since something arrived on it. */
  quietSweeps: number;
  readonly outbound: OutboundQueue;
  /** Whom it takes turns as, and that one's number. */
  readonly party: string;
  readonly flow: number;
}

type Slots = Map<number, SessionPath>;

export class SessionCarrier implements DatagramSocket {
  readonly local = LOCAL;
  /** Packets given to `sendRun`: forwarded when QUIC has them, or dropped by reason. */
  readonly sent = new DatagramCounters();
  /** Datagrams from relays: consumed, or dropped by reason. */
  readonly received = new DatagramCounters();
  readonly #budget = new QueueBudget(QUEUE_BUDGET);
  readonly #outbound = new Map<EndpointConnection, OutboundQueue>();
  readonly #parties = new PartyNumbers();
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

  get sendErrors(): number {
    const { received, forwarded } = this.sent;
    return received - forwarded - this.#budget.pool.used;
  }

  get pathCount(): number {
    return this.#byHost.size;
  }

  /**
   * Adds a session carried by `outer`; returns the made-up address of its far end, by which it goes from here on.
   *
   * @param party sessions of one party share a turn when packets have to wait. Default: a party of its own.
   */
  addSession(handle: SessionHandle, outer: EndpointConnection, party = `slot ${handle.slot}`): SocketAddress {
    const slots: Slots = this.#byOuter.get(outer) ?? new Map<number, SessionPath>();
    const before = slots.get(handle.slot);
    if (before) this.removeSession(before.address.host);
    this.#byOuter.set(outer, slots);
    const host = this.#allocateHost();
    const outbound = this.#outboundOf(outer);
    const path = { handle, outer, outbound, party, flow: this.#parties.hold(party), address: { host, port: PATH_PORT }, quietSweeps: 0 };
    slots.set(handle.slot, path);
    this.#byHost.set(host, path);
    return path.address;
  }

  /** The session behind a made-up host goes by another name and over another connection; to the inner endpoint nothing changes. */
  moveSession(host: string, handle: SessionHandle, outer: EndpointConnection): void {
    const path = this.#byHost.get(host);
    if (!path) return;
    this.#leaveSlot(path);
    const slots: Slots = this.#byOuter.get(outer) ?? new Map<number, SessionPath>();
    const before = slots.get(handle.slot);
    if (before) this.removeSession(before.address.host);
    this.#byOuter.set(outer, slots);
    const moved = { ...path, handle, outer, outbound: this.#outboundOf(outer), quietSweeps: 0 };
    slots.set(handle.slot, moved);
    this.#byHost.set(host, moved);
  }

  /** Forgets the session behind a made-up host; returns its handle. */
  removeSession(host: string): SessionHandle | undefined {
    const path = this.#byHost.get(host);
    if (!path) return undefined;
    this.#byHost.delete(host);
    this.#parties.release(path.party);
    this.#leaveSlot(path);
    return path.handle;
  }

  #leaveSlot({ outer, handle }: SessionPath): void {
    const slots = this.#byOuter.get(outer);
    slots?.delete(handle.slot);
    if (slots?.size === 0) this.#byOuter.delete(outer);
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
    this.received.countReceived();
    const fault = checkHeader(datagram, length);
    if (fault !== undefined) return this.#refuse(fault);
    if (readType(datagram) !== DatagramType.data) return this.#refuse('bad_type');
    const path = this.#byOuter.get(outer)?.get(readSlot(datagram));
    if (!path) return this.#refuse('slot_unknown');
    if (path.handle.tag !== readTag(datagram)) return this.#refuse('tag_mismatch');
    this.received.countConsumed();
    path.quietSweeps = 0;
    this.#receiver?.onPacket(datagram.subarray(HEADER_BYTES, length), path.address.host, PATH_PORT);
    return true;
  }

  /** The outer connection has delivered its batch. */
  endBatch(): void {
    this.#receiver?.onBatchEnd();
  }

  /** The outer connection was flushed. */
  handleFlushed(outer: EndpointConnection): void {
    this.#outbound.get(outer)?.handleFlushed(outer.turnAt);
  }

  /** The outer connection is gone; its sessions may go before or after. */
  removeOuter(outer: EndpointConnection): void {
    this.#outbound.get(outer)?.clear('peer_gone');
    this.#outbound.delete(outer);
  }

  sendRun(run: Buffer, length: number, segment: number, host: string): void {
    const path = this.#byHost.get(host);
    const fault = path?.outer.isEstablished !== true ? 'peer_gone' : segment > MAX_PACKET_BYTES ? 'too_large' : undefined;
    for (let offset = 0; offset < length; offset += segment) this.sent.countReceived();
    if (!path || fault) {
      for (let offset = 0; offset < length; offset += segment) this.sent.countDropped(fault ?? 'peer_gone');
      return;
    }
    const { outbound } = path;
    const packet = this.#packet;
    writeHeader(packet, DatagramType.data, path.handle.slot, path.handle.tag);
    const whole = packet.subarray(0, HEADER_BYTES + segment);
    for (let offset = 0; offset < length; offset += segment) {
      const end = Math.min(offset + segment, length);
      run.copy(packet, HEADER_BYTES, offset, end);
      const datagram = end - offset === segment ? whole : packet.subarray(0, HEADER_BYTES + end - offset);
      if (outbound.isOpen) outbound.pass(datagram);
      // Not the turn's time: the inner endpoint has turns of its own.
      else outbound.wait(path.flow, datagram, performance.now());
    }
  }

  close(): Promise<void> {
    this.#byOuter.clear();
    this.#byHost.clear();
    this.#receiver = undefined;
    return Promise.resolve();
  }

  #outboundOf(outer: EndpointConnection): OutboundQueue {
    let outbound = this.#outbound.get(outer);
    if (!outbound) {
      outbound = new OutboundQueue({ link: outer, counter: this.sent, budget: this.#budget });
      this.#outbound.set(outer, outbound);
    }
    return outbound;
  }

  #refuse(reason: DropReason): false {
    this.received.countDropped(reason);
    return false;
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
