// Notices a relay that stopped answering: one ping at a time, and a deadline for anything to come after it.
// Owns the schedule and the round-trip time; what a ping is and what a loss means are the driver's and the link's.

export interface KeepaliveInit {
  /** Milliseconds from one ping to the next while the connection is in use. */
  readonly pingIntervalMs: number;
  /** The same while nothing depends on it; no less. */
  readonly idlePingIntervalMs: number;
  /** Milliseconds an answer may take. */
  readonly pingTimeoutMs: number;
  /** Milliseconds for which the relay is sent to under one connection id; until the next ping, that is. */
  readonly idLifeMs: number;
}

/** Lives as long as one ready connection. */
export class Keepalive {
  readonly #init: KeepaliveInit;
  /** When the last ping was sent, or the connection became ready. */
  #pingedAt: number;
  /** When the ping was sent that nothing has come after. */
  #unanswered: number | undefined;
  #rttMs: number | undefined;
  #idRenewedAt: number;

  constructor(init: KeepaliveInit, now: number) {
    this.#init = init;
    this.#pingedAt = now;
    this.#idRenewedAt = now;
  }

  /** Milliseconds, as of the last answer; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /**
   * @param isIdle whether nothing depends on the connection just now; when that changes, so does what is returned: in use
   * again after a while, it may be due at once
   */
  pollTimeout(isIdle: boolean): number {
    const { pingIntervalMs, idlePingIntervalMs, pingTimeoutMs } = this.#init;
    if (this.#unanswered !== undefined) return this.#unanswered + pingTimeoutMs;
    return this.#pingedAt + (isIdle ? idlePingIntervalMs : pingIntervalMs);
  }

  /** What is due: `ping` (send one, then call `handlePingSent`), `lost`, or nothing yet. */
  due(isIdle: boolean, now: number): 'ping' | 'lost' | undefined {
    if (now < this.pollTimeout(isIdle)) return undefined;
    return this.#unanswered === undefined ? 'ping' : 'lost';
  }

  /**
   * @returns whether it goes out under a connection id that was not used before: every now and then, and when it comes so
   * late that the machine must have slept. It may have been carried to another network, and should not be known there again.
   */
  handlePingSent(now: number): boolean {
    const { idlePingIntervalMs, pingTimeoutMs, idLifeMs } = this.#init;
    const hasSlept = now - this.#pingedAt >= idlePingIntervalMs + pingTimeoutMs;
    const renewsId = hasSlept || now - this.#idRenewedAt >= idLifeMs;
    if (renewsId) this.#idRenewedAt = now;
    this.#unanswered = now;
    this.#pingedAt = now;
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
