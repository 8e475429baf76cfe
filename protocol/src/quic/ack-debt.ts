// Packets a connection has received and not acknowledged yet, and whether that may go on. QUIC (quiche 0.18)
// acknowledges with whatever it sends next and has no timer for it: put off the flush, and one acknowledgement
// stands for many packets. Owns the count; what else forbids the wait is endpoint-connection.ts. RFC 9000 §13.2.

/** Acknowledged at once when a connection is new, for slow start: ten windows of ten packets, as in Chromium's QUIC. */
export const PROMPT_PACKETS = 100;

/**
 * One acknowledgement at least for so many. A sender's window begins at ten packets (RFC 9002 §7.2), so one that it
 * fills is answered at once. RFC 9000 §13.2.2 suggests every second, which costs both sides and the relay a packet for two.
 */
export const MAX_OWED_PACKETS = 10;

/** The longest an acknowledgement waits for something to travel with; a fifth of what peers reckon with (RFC 9000 §18.2: 25 ms). */
export const ACK_DELAY_MS = 5;

/**
 * Acknowledged at once after an acknowledgement that waited so long: packets come too slowly for fewer
 * acknowledgements to be worth a timer, or the sender's window is so small that it waits for them.
 */
export const PROMPT_AFTER_DELAY_PACKETS = 20;

export class AckDebt {
  #promptPackets = PROMPT_PACKETS;
  #owed = 0;
  #isPrompt = false;

  /** A packet came, whether or not it asks for an acknowledgement: which, QUIC does not say. */
  addPacket(): void {
    this.#owed++;
    if (this.#promptPackets === 0) return;
    this.#promptPackets--;
    this.#isPrompt = true;
  }

  /** The connection was flushed. */
  settle(): void {
    this.#owed = 0;
    this.#isPrompt = false;
  }

  /** A timer of the connection is due, and flushes it. */
  handleTimer(): void {
    if (this.#owed > 0) this.#promptPackets = Math.max(this.#promptPackets, PROMPT_AFTER_DELAY_PACKETS);
  }

  get mayWait(): boolean {
    return this.#owed < MAX_OWED_PACKETS && !this.#isPrompt;
  }
}
