// Where the peer of a connection is, as far as it has proved, and how it comes to be elsewhere. Owns the address and the moves:
//
//   inner connections     QUIC knows several paths, and the agent moves on purpose, from session to session (left-paths.ts)
//   a roaming endpoint's  QUIC is told one address all along, and the client proves each new one to us (address-moves.ts)

import { isSameAddress, type SocketAddress } from '../udp/datagram-socket.js';
import { AddressCheckKind, readAddressCheck } from './address-check.js';
import { AddressMoves } from './address-moves.js';
import { LeftPaths } from './left-paths.js';
import type { PathInfo, QuicConnection } from './port.js';

/** What it needs of its connection. */
export interface PathHost {
  readonly quic: QuicConnection;
  readonly isServer: boolean;
  readonly hasEnded: boolean;
  ping(): void;
  markDirty(): void;
  /** Feeds QUIC a packet that was kept back. */
  receive(packet: Buffer, path: PathInfo): void;
  /** The peer is elsewhere than `before` now. */
  noticeMoved(before: SocketAddress): void;
}

export class PeerPath {
  /** Where the peer is. */
  address: SocketAddress;
  /** The path that QUIC is told packets come on: where the peer is, or at a roaming endpoint where it was at first. */
  path: PathInfo;
  sawOther = false;
  /** At a server whose client has moved between QUIC's paths. */
  left: LeftPaths | undefined;
  /** At a roaming endpoint's server, once the handshake is complete: before that a client does not move (RFC 9000 §9). */
  moves: AddressMoves | undefined;
  readonly #host: PathHost;
  /** At the client of one: what challenges are answered with. */
  #addressKey: Uint8Array<ArrayBuffer> | undefined;
  /** Where the peer was before a move that nobody was told of yet. */
  #movedFrom: SocketAddress | undefined;

  constructor(path: PathInfo, host: PathHost) {
    this.path = path;
    this.address = path.from;
    this.#host = host;
  }

  /** Secret of the two ends, which the server makes up: what challenges of an address and their responses are known by. */
  get addressKey(): Uint8Array<ArrayBuffer> | undefined {
    return this.moves?.key ?? this.#addressKey;
  }

  /** At a roaming endpoint's server, from now on: the client may prove to be elsewhere. */
  allowMoves(): void {
    this.moves = new AddressMoves();
  }

  /** At a client: from now on challenges are answered, with the key that the server gave. */
  answerChallenges(key: Uint8Array<ArrayBuffer>): void {
    this.#addressKey = key;
  }

  /** For the endpoint: the nonce to answer a challenge with; undefined for one that is none, or did not come from the peer. */
  readChallenge(packet: Buffer, host: string, port: number): Buffer | undefined {
    if (!this.#addressKey || !isSameAddress(this.address, { host, port })) return undefined;
    return readAddressCheck(AddressCheckKind.challenge, packet, this.#addressKey);
  }

  /** For the endpoint: the client has proved to be at `address`. What QUIC had under way may be lost, and a ping has it look. */
  moveTo(address: SocketAddress): void {
    this.#movedFrom ??= this.address;
    this.address = address;
    this.#host.ping();
  }

  /**
   * After a move, for as long as the old address works: has QUIC notice what was lost there. quiche 0.18 finds a
   * loss only by a later packet of the same path that is acknowledged (measured: without one, a window full of
   * lost packets stops the connection for good), and a challenge is such a packet.
   */
  recoverFrom(before: SocketAddress): void {
    if (!this.#host.hasEnded) this.probe(before);
  }

  /** Finds out whether the peer is reached at another address too; `isValidated` tells. False when it cannot be tried. */
  probe(peer: SocketAddress): boolean {
    const started = this.#host.quic.probePath(this.path.to, peer);
    this.#host.markDirty();
    return started;
  }

  isValidated(peer: SocketAddress): boolean {
    return this.#host.quic.isPathValidated(this.path.to, peer);
  }

  /** Moves to an address that `isValidated`; streams go on where they are. */
  migrate(peer: SocketAddress): boolean {
    if (!this.#host.quic.migrate(this.path.to, peer)) return false;
    this.path = { from: peer, to: this.path.to };
    this.address = peer;
    // The peer moves when it sees a packet that is no probe.
    this.#host.ping();
    return true;
  }

  /**
   * Has packets carry another of the peer's connection ids from now on, so that whoever sees those before and those after at
   * different places of the network cannot tell by the id that they are one connection's (RFC 9000 §9.5). False when there is none to spare.
   */
  renewDestinationId(): boolean {
    const isRenewed = !this.#host.hasEnded && this.#host.quic.renewDestinationId();
    if (isRenewed) this.#host.markDirty();
    return isRenewed;
  }

  /** Tells the host what has changed since this was last asked. Two moves at most: ours and QUIC's. */
  deliverMoves(): void {
    const before = this.#movedFrom;
    if (before) {
      this.#movedFrom = undefined;
      if (!isSameAddress(before, this.address)) this.#host.noticeMoved(before);
    }
    if (!this.sawOther) return;
    const from = this.#host.quic.pollPeerMigrated();
    // There and back, for the sake of what was lost: left-paths.ts.
    if (!from || isSameAddress(from, this.path.from)) return;
    const left = this.path;
    this.#follow(from);
    this.#host.noticeMoved(left.from);
  }

  /** The connection is gone. */
  stop(): void {
    this.left?.stop();
  }

  #follow(from: SocketAddress): void {
    const before = this.path;
    this.sawOther = false;
    this.path = { from, to: before.to };
    this.address = from;
    if (!this.#host.isServer) return;
    this.left ??= new LeftPaths({
      ping: () => this.#host.ping(),
      receive: (packet, path) => this.#host.receive(packet, path),
      expected: () => this.path,
      isValidated: ({ from }) => this.isValidated(from),
    });
    this.left.add(before);
  }
}
