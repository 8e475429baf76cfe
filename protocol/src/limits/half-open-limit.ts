// Handshakes in flight, all sources together: a count with a cap, and the time one may take. Owns the
// numbers; closing a handshake that took too long is the endpoint's.

import type { Rate } from './token-bucket.js';

export interface HalfOpenLimits {
  /** Handshakes in flight at a time. */
  readonly handshakes: number;
  /** Milliseconds for a handshake while few are in flight. */
  readonly timeoutMs: number;
  /** Milliseconds for a handshake begun when the last place is taken; at most `timeoutMs`. */
  readonly pressedTimeoutMs: number;
}

export const DEFAULT_HALF_OPEN_LIMITS: HalfOpenLimits = {
  // A core finishes about 1000 handshakes a second, so an honest rush of 1024 is a second of work. At 41 KB each, 42 MB.
  handshakes: 1024,
  // Several intercontinental round trips with losses: Initials are sent again after 1, 3 and 7 s (RFC 9002 §6.2).
  timeoutMs: 10_000,
  // Still three round trips of 600 ms (satellite). Who keeps every place taken must bring 1024 / 2 s = 512 validated
  // handshakes a second instead of 102.
  pressedTimeoutMs: 2_000,
};

/**
 * Addresses validated, of everyone: Retry packets sent, and tokens opened, per second. Measured: 14 µs for a Retry, 8 for a
 * token, so a flood of either takes at most 28 % of a core, and the rest is for those who are in. Twenty times the
 * handshakes a core can do; an honest client that is passed over sends its Initial again.
 */
export const DEFAULT_ADDRESS_VALIDATIONS: Rate = { perSecond: 20_000, burst: 2_000 };

export class HalfOpenLimit {
  #limits: HalfOpenLimits;
  #inFlight = 0;

  constructor(limits: HalfOpenLimits = DEFAULT_HALF_OPEN_LIMITS) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The time of a handshake begun when few are in flight: one that has less is pressed. */
  get timeoutMs(): number {
    return this.#limits.timeoutMs;
  }

  /** For places taken from now on. */
  setLimits(limits: HalfOpenLimits): void {
    this.#limits = limits;
  }

  /**
   * Takes a place. Returns how many milliseconds the handshake has, or 0 if there is no place: create no
   * state then. Up to half of the places the time is `timeoutMs`; from there to the last it shrinks in a
   * straight line to `pressedTimeoutMs`. Those begun before keep the time they were given.
   */
  tryEnter(): number {
    const { handshakes, timeoutMs, pressedTimeoutMs } = this.#limits;
    if (this.#inFlight >= handshakes) return 0;
    this.#inFlight++;
    const half = handshakes / 2;
    const pressure = Math.max(0, (this.#inFlight - half) / half);
    return timeoutMs - (timeoutMs - pressedTimeoutMs) * pressure;
  }

  /** The handshake is complete, failed or timed out. Once for each place taken. */
  leave(): void {
    if (this.#inFlight === 0) throw new RangeError('more handshakes ended than began');
    this.#inFlight--;
  }
}
