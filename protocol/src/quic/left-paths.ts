// What a server had under way on paths that its client has left, and what has QUIC send it again. For connections that QUIC moves
// between paths: inner ones, between sessions (address-moves.ts is for the others).
//
// quiche 0.18 looks for losses on a path only when a packet sent on that path is acknowledged, or when the path stops
// being the active one (recovery/mod.rs: on_ack_received, on_path_change). When a session ends before its connection has left it,
// nothing that is under way in it is ever acknowledged: beyond the two packets that probes repeat, it
// is never sent again, and a stream with a gap in it stands still for good.
//
// The acknowledgements of later packets do raise the mark below which the old path's are lost. So, once there are some, two
// packets of the client's are told to QUIC as if the first had come by the old path: QUIC moves there and back within
// one call, sends nothing in between, and finds the losses as it leaves. Both packets are the client's own: a forged
// one moves nothing.

import { isSameAddress } from '../udp/datagram-socket.js';
import type { PathInfo } from './port.js';

/** What it needs of the connection. */
export interface LeavingConnection {
  /** The path that packets are expected on. */
  expected(): PathInfo;
  /** QUIC would end the connection if it were led to a path that it has given up. */
  isValidated(path: PathInfo): boolean;
  /** Has the peer send something. */
  ping(): void;
  /** Feeds QUIC a packet that was kept back. */
  receive(packet: Buffer, path: PathInfo): void;
}

/** After a move, and after each attempt, ms: a round trip must have passed, and packets may be lost. */
const ATTEMPTS_MS = [25, 100, 300, 1000, 3000];
/** Each attempt asks twice, so far apart that a client answers each by itself. */
const PING_GAP_MS = 4;
/** The first answer waits for the second no longer than this. */
const HOLD_MS = 20;
/** A second time finds what the first came too early for. */
const RECOVERIES = 2;
/** QUIC remembers no more paths of a connection either. */
const MAX_LEFT = 8;

interface LeftPath {
  readonly path: PathInfo;
  recoveries: number;
}

export class LeftPaths {
  readonly #connection: LeavingConnection;
  #left: LeftPath[] = [];
  #attempts = 0;
  /** The next two packets are to be a pair. */
  #isAsking = false;
  #held: Buffer | undefined;
  #next: NodeJS.Timeout | undefined;
  #release: NodeJS.Timeout | undefined;

  constructor(connection: LeavingConnection) {
    this.#connection = connection;
  }

  /** The client has just moved away from `path`. */
  add(path: PathInfo): void {
    const others = this.#left.filter((left) => !isSame(left.path, path));
    this.#left = [{ path, recoveries: 0 }, ...others.slice(0, MAX_LEFT - 1)];
    this.#attempts = 0;
    this.#waitForNext();
  }

  /** True when the packet is kept back for now; otherwise the caller feeds it to QUIC, as always. */
  keeps(packet: Buffer): boolean {
    if (!this.#isAsking) return false;
    const held = this.#held;
    if (!held) {
      this.#held = Buffer.from(packet);
      this.#release = setTimeout(() => this.#letGo(this.#connection.expected()), HOLD_MS).unref();
      return true;
    }
    // Another one is for later: by then more has been acknowledged.
    this.#isAsking = false;
    const left = this.#left.shift();
    const canLead = left !== undefined && this.#connection.isValidated(left.path) && this.#connection.isValidated(this.#connection.expected());
    this.#letGo(canLead ? left.path : this.#connection.expected());
    if (canLead && ++left.recoveries < RECOVERIES) this.#left.push(left);
    return false;
  }

  /** The connection is gone. */
  stop(): void {
    clearTimeout(this.#next);
    clearTimeout(this.#release);
    this.#left = [];
    this.#isAsking = false;
    this.#held = undefined;
  }

  #waitForNext(): void {
    clearTimeout(this.#next);
    // A path that the client came back to has not been left.
    const expected = this.#connection.expected();
    this.#left = this.#left.filter(({ path }) => !isSame(path, expected));
    const ms = ATTEMPTS_MS[this.#attempts];
    this.#next = setTimeout(() => (ms === undefined ? this.#giveUp() : this.#ask()), ms ?? HOLD_MS).unref();
  }

  #ask(): void {
    if (this.#left.length === 0) return this.#giveUp();
    this.#attempts++;
    this.#isAsking = true;
    this.#connection.ping();
    this.#next = setTimeout(() => {
      this.#connection.ping();
      this.#waitForNext();
    }, PING_GAP_MS).unref();
  }

  #giveUp(): void {
    if (this.#held) this.#letGo(this.#connection.expected());
    this.stop();
  }

  #letGo(path: PathInfo): void {
    const held = this.#held!;
    clearTimeout(this.#release);
    this.#held = undefined;
    this.#connection.receive(held, path);
  }
}

const isSame = (a: PathInfo, b: PathInfo): boolean => isSameAddress(a.from, b.from);
