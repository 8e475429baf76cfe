// What one connection's packets brought, against what they weighed: bytes that are neither payload delivered nor
// the price of payload sent. quiche 0.18 keeps some of those without a bound and tells nobody: CRYPTO data
// out of order (CVE-2024-1765) and answers to PATH_CHALLENGE (CVE-2023-6193). Owns the sum; closing is the driver's.

/** A short header with a connection id of 16 bytes, packet number, authentication tag: 1 + 16 + 4 + 16, and a few bytes of ACK. */
const PACKET_OVERHEAD_BYTES = 40;

/**
 * Handshake messages of a client: a chain of 16 certificates of 2 KiB, each sent three times for losses, and an
 * Initial of 1200 bytes now and then. A peer without a certificate gets no more than this.
 */
export const MAX_HANDSHAKE_BYTES = 128 * 1024;

/**
 * The default, beside the share below. Address changes, lost control messages sent again and acknowledgements full of gaps come to
 * some hundred bytes a minute; 64 connections of one source holding this much are 256 MiB.
 */
export const MAX_IDLE_BYTES = 4 * 1024 * 1024;

/** Acknowledging 1300-byte packets one by one, with 30 gaps in each acknowledgement, is a tenth. */
const IDLE_SHARE = 0.5;

export class PacketAccount {
  #idle = 0;
  #useful = 0;

  /**
   * From here on only packets count that QUIC has authenticated, which is dear to find out. Before, anybody who
   * knows a connection id could add to the account, but not to this point and beyond.
   */
  get isSuspicious(): boolean {
    return this.#idle > (MAX_HANDSHAKE_BYTES + this.#useful * IDLE_SHARE) / 2;
  }

  addPacket(bytes: number): void {
    this.#idle += bytes - PACKET_OVERHEAD_BYTES;
  }

  /** Payload the peer sent, handed to the application. */
  addReceived(bytes: number): void {
    this.#idle -= bytes;
    this.#useful += bytes;
  }

  /** Payload for the peer, which it has to acknowledge. */
  addSent(bytes: number): void {
    this.#useful += bytes;
  }

  /**
   * The peer makes QUIC hold, or may, what nobody asked for: end the connection, which frees it.
   * @param maxIdleBytes for an established one
   */
  isExcessive(established: boolean, maxIdleBytes = MAX_IDLE_BYTES): boolean {
    return this.#idle > (established ? maxIdleBytes + this.#useful * IDLE_SHARE : MAX_HANDSHAKE_BYTES);
  }
}
