// Whether a client with a validated address may begin a handshake: the interface an endpoint asks, and the
// relay's answer out of limits/. Asked after Retry (first-contact.ts) and before any state is made.
//
//   admit ── half_open_limit, source_handshake_rate, source_connections ──► no state, a counted drop
//     └─► place ──handshakeOver──► half-open place free ──release──► source's place free

import { HalfOpenLimit, type HalfOpenLimits } from '../limits/half-open-limit.js';
import { sourceKey } from '../limits/source-key.js';
import { SourceEntry, SourceLimiter, type SourceLimits, type SourceLimitsReached, type SourceRefusal } from '../limits/source-limiter.js';
import type { SocketAddress } from '../udp/datagram-socket.js';

/** Also packet drop reasons. */
export type AdmissionRefusal = 'half_open_limit' | SourceRefusal;

/** What an admitted connection holds. Both calls may come more than once; the first one counts. */
export interface Place {
  /** Milliseconds the handshake has. */
  readonly handshakeMs: number;
  /** It has less time than when few are under way. Default: it has not. */
  readonly isPressed?: boolean;
  /** The handshake is complete, or will never be. */
  handshakeOver(): void;
  /** The connection is gone, its draining included. */
  release(): void;
}

export interface Admission {
  /**
   * One handshake attempt. A place that is granted must be released; a refusal leaves nothing behind.
   * @param now ms, monotonic
   */
  admit(peer: SocketAddress, now: number): Place | AdmissionRefusal;
}

export interface SourceAdmissionInit {
  readonly halfOpen: HalfOpenLimits;
  readonly sources: SourceLimits;
}

/** Sources whose address is no literal, should a socket ever print one: they share one allowance. */
const UNREADABLE_SOURCE = 'unreadable';

/** Limits per source, and on handshakes under way. */
export class SourceAdmission implements Admission {
  readonly #halfOpen: HalfOpenLimit;
  readonly #sources: SourceLimiter;

  /** @param now ms, of the clock passed to `admit` */
  constructor({ halfOpen, sources }: SourceAdmissionInit, now: number) {
    this.#halfOpen = new HalfOpenLimit(halfOpen);
    this.#sources = new SourceLimiter(sources, now);
  }

  /** Handshakes under way. */
  get handshakesInFlight(): number {
    return this.#halfOpen.inFlight;
  }

  /** Sources remembered. */
  get sourcesTracked(): number {
    return this.#sources.size;
  }

  /** Connections admitted and not gone, of all sources. */
  get connections(): number {
    return this.#sources.connections;
  }

  /** Of these, of sources that found the table of sources full. */
  get overflowConnections(): number {
    return this.#sources.overflowConnections;
  }

  /** How often each limit of sources held one back. */
  get limitsReached(): Readonly<SourceLimitsReached> {
    return this.#sources.limitsReached;
  }

  /** Other limits from now on. Nobody is turned out: who is above a lower one gets nothing more until below it. */
  setLimits({ halfOpen, sources }: SourceAdmissionInit): void {
    this.#halfOpen.setLimits(halfOpen);
    this.#sources.setLimits(sources);
  }

  admit({ host }: SocketAddress, now: number): Place | AdmissionRefusal {
    const handshakeMs = this.#halfOpen.tryEnter();
    if (handshakeMs === 0) return 'half_open_limit';
    const entry = this.#sources.admit(sourceKey(host) ?? UNREADABLE_SOURCE, now);
    if (entry instanceof SourceEntry) return new HeldPlace(handshakeMs, this.#halfOpen, this.#sources, entry);
    this.#halfOpen.leave();
    return entry;
  }
}

class HeldPlace implements Place {
  readonly handshakeMs: number;
  readonly isPressed: boolean;
  #halfOpen: HalfOpenLimit | undefined;
  readonly #sources: SourceLimiter;
  #entry: SourceEntry | undefined;

  constructor(handshakeMs: number, halfOpen: HalfOpenLimit, sources: SourceLimiter, entry: SourceEntry) {
    this.handshakeMs = handshakeMs;
    this.isPressed = handshakeMs < halfOpen.timeoutMs;
    this.#halfOpen = halfOpen;
    this.#sources = sources;
    this.#entry = entry;
  }

  handshakeOver(): void {
    this.#halfOpen?.leave();
    this.#halfOpen = undefined;
  }

  release(): void {
    this.handshakeOver();
    if (this.#entry) this.#sources.release(this.#entry);
    this.#entry = undefined;
  }
}
