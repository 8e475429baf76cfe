// Where a client's packets go while its address changes (NAT rebinding, a laptop that moves): the server's side. Nothing but
// a challenge is sent to an address that has not answered one, so that nobody can have traffic led elsewhere, and one who
// answers has the keys of the connection (quic/address-check.ts). No I/O: time comes in as an argument.
//
//   current ──new packet from elsewhere──► challenged ──response from there──► current is the new address
//
// QUIC itself is told one address all along. quiche 0.18 keeps a path for every address it saw, eight at most; finds what was lost on
// one only by acknowledgements that come on it; and loses its answer to a challenge when its window is full (docs/adr/0019).

import { randomBytes } from 'node:crypto';
import { isSameAddress, type SocketAddress } from '../udp/datagram-socket.js';
import { ADDRESS_KEY_BYTES } from '../wire/control-messages.js';
import { ADDRESS_NONCE_BYTES, AddressCheckKind, readAddressCheck } from './address-check.js';

/** Between two challenges of one connection: 40 a second are 1.7 KB, whatever it sends from wherever. A loss costs so long. */
export const CHALLENGE_INTERVAL_MS = 25;
/** A response to a challenge that is older is none: longer than any round trip, with some of its repeats lost. */
export const CHALLENGE_LIFE_MS = 3_000;

interface Challenge {
  readonly address: SocketAddress;
  readonly nonce: Buffer;
  readonly madeAt: number;
}

export class AddressMoves {
  /** For the client, by a way that nobody else reads. */
  readonly key = new Uint8Array(randomBytes(ADDRESS_KEY_BYTES));
  #challenge: Challenge | undefined;
  #nextAt = -Infinity;

  /** Whether a packet from an address that is not the current one may be answered with a challenge yet. `now` in ms, monotonic. */
  isDue(now: number): boolean {
    return now >= this.#nextAt;
  }

  /** Whether `address` was challenged and may still answer. */
  isOpen(address: SocketAddress, now: number): boolean {
    return this.#challenge !== undefined && isSameAddress(this.#challenge.address, address) && now - this.#challenge.madeAt < CHALLENGE_LIFE_MS;
  }

  /** QUIC has authenticated a packet from `address` that it had not seen before. @returns what to send there */
  challenge(address: SocketAddress, now: number): Buffer {
    this.#nextAt = now + CHALLENGE_INTERVAL_MS;
    // The same again: the response to an earlier copy counts.
    if (this.isOpen(address, now)) return this.#challenge!.nonce;
    const nonce = randomBytes(ADDRESS_NONCE_BYTES);
    this.#challenge = { address, nonce, madeAt: now };
    return nonce;
  }

  /** @returns the address that the client has moved to; undefined for anything but the response that is due from it */
  handleResponse(packet: Buffer, host: string, port: number, now: number): SocketAddress | undefined {
    if (!this.isOpen({ host, port }, now)) return undefined;
    const { address, nonce } = this.#challenge!;
    if (readAddressCheck(AddressCheckKind.response, packet, this.key)?.equals(nonce) !== true) return undefined;
    this.#challenge = undefined;
    return address;
  }
}
