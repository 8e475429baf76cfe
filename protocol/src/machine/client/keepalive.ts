// Notices a relay that stopped answering: one control ping at a time, and a deadline for its pong.
// Owns the schedule and the round-trip time; the messages and what a loss means are the link's.

export interface KeepaliveInit {
  /** Milliseconds from one ping to the next. */
  readonly pingIntervalMs: number;
  /** Milliseconds a pong may take. */
  readonly pongTimeoutMs: number;
}

interface SentPing {
  readonly timestamp: number;
  readonly at: number;
}

/** Lives as long as one ready connection. */
export class Keepalive {
  readonly #init: KeepaliveInit;
  #nextPing: number;
  #sent: SentPing | undefined;
  #rttMs: number | undefined;

  constructor(init: KeepaliveInit, now: number) {
    this.#init = init;
    this.#nextPing = now + init.pingIntervalMs;
  }

  /** Milliseconds the last answered ping took; undefined before the first pong. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  pollTimeout(): number {
    return this.#sent ? this.#sent.at + this.#init.pongTimeoutMs : this.#nextPing;
  }

  /** What is due: `ping` (send one, then call `handlePingSent`), `lost`, or nothing yet. */
  due(now: number): 'ping' | 'lost' | undefined {
    if (now < this.pollTimeout()) return undefined;
    return this.#sent ? 'lost' : 'ping';
  }

  /** @param timestamp what the ping carried and its pong has to echo */
  handlePingSent(timestamp: number, now: number): void {
    this.#sent = { timestamp, at: now };
    this.#nextPing = now + this.#init.pingIntervalMs;
  }

  /** The round-trip time in milliseconds, or undefined for a pong nobody waits for. */
  handlePong(timestamp: number, now: number): number | undefined {
    if (this.#sent?.timestamp !== timestamp) return undefined;
    this.#rttMs = now - this.#sent.at;
    this.#sent = undefined;
    return this.#rttMs;
  }
}
