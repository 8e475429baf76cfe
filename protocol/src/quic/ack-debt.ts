// Packets a connection has received and not acknowledged yet, and how long that may go on. QUIC (quiche 0.18)
// acknowledges with whatever it sends next and has no timer for it: put off the flush, and one acknowledgement
// stands for many packets. Owns the count; what else forbids the wait is endpoint-connection.ts. RFC 9000 §13.2.

/** Acknowledged at once, so that slow start finds its feet: the first ten windows of ten packets, as Chromium's QUIC does it. */
export const PROMPT_PACKETS = 100;

/**
 * One acknowledgement at least for so many. A sender's window begins at ten packets (RFC 9002 §7.2), so one that it
 * fills is answered at once. RFC 9000 §13.2.2 suggests every second, which costs both sides and the relay a packet for two.
 */
export const MAX_OWED_PACKETS = 10;

/** The longest an acknowledgement waits for something to travel with; a twelfth of what RFC 9000 §18.2 lets peers expect by default (25 ms). */
export const ACK_DELAY_MS = 2;

export class AckDebt {
  #promptPackets = PROMPT_PACKETS;
  #owed = 0;

  /** A packet came, whether or not it asks for an acknowledgement: which, QUIC does not say. */
  addPacket(): void {
    this.#owed++;
    if (this.#promptPackets > 0) this.#promptPackets--;
  }

  /** The connection was flushed. */
  settle(): void {
    this.#owed = 0;
  }

  get mayWait(): boolean {
    return this.#owed < MAX_OWED_PACKETS && this.#promptPackets === 0;
  }
}
