// Notices a relay that stopped answering: one ping at a time, and a deadline for anything to come after it.
// Owns the schedule and the round-trip time; what a ping is and what a loss means are the driver's and the link's.

export interface KeepaliveInit {
  /** Milliseconds from one ping to the next. */
  readonly pingIntervalMs: number;
  /** Milliseconds an answer may take. */
  readonly pingTimeoutMs: number;
  /** Milliseconds for which the relay is sent to under one connection id; until the next ping, that is. */
  readonly idLifeMs: number;
}

/** Lives as long as one ready connection. */
export class Keepalive {
  readonly #init: KeepaliveInit;
  #nextPing: number;
  /** When the ping was sent that nothing has come after. */
  #unanswered: number | undefined;
  #rttMs: number | undefined;
  #idRenewedAt: number;

  constructor(init: KeepaliveInit, now: number) {
    this.#init = init;
    this.#nextPing = now + init.pingIntervalMs;
    this.#idRenewedAt = now;
  }

  /** Milliseconds, as of the last answer; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  pollTimeout(): number {
    return this.#unanswered === undefined ? this.#nextPing : this.#unanswered + this.#init.pingTimeoutMs;
  }

  /** What is due: `ping` (send one, then call `handlePingSent`), `lost`, or nothing yet. */
  due(now: number): 'ping' | 'lost' | undefined {
    if (now < this.pollTimeout()) return undefined;
    return this.#unanswered === undefined ? 'ping' : 'lost';
  }

  /**
   * @returns whether it goes out under a connection id that was not used before: every now and then, and when it comes so
   * late that the machine must have slept. It may have been carried to another network, and should not be known there again.
   */
  handlePingSent(now: number): boolean {
    const { pingIntervalMs, pingTimeoutMs, idLifeMs } = this.#init;
    const hasSlept = now - this.#nextPing >= pingTimeoutMs;
    const renewsId = hasSlept || now - this.#idRenewedAt >= idLifeMs;
    if (renewsId) this.#idRenewedAt = now;
    this.#unanswered = now;
    this.#nextPing = now + pingIntervalMs;
    return renewsId;
  }

  /**
   * Something came from the relay.
   *
   * @param quicRttMs as QUIC measures it, in whole milliseconds: less than that is no answer, but a packet that was under way
   * @returns the round-trip time in milliseconds, or undefined when nobody waited
   */
  handleHeard(quicRttMs: number, now: number): number | undefined {
    if (this.#unanswered === undefined) return undefined;
    this.#rttMs = Math.max(now - this.#unanswered, quicRttMs);
    this.#unanswered = undefined;
    return this.#rttMs;
  }
}
