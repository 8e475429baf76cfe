// Clients turned away before anything is known of them, as the log tells it: at most one line in 10 s with the
// counts since the last, whatever the flood. Addresses at debug level only. The counters for metrics are the endpoint's.

import { formatAddress, type Logger, type PacketDropReason, type SocketAddress } from '@ztna/protocol';

/** Milliseconds between two lines: at most 8640 a day. */
export const TURNED_AWAY_INTERVAL_MS = 10_000;

export class TurnedAway {
  readonly #log: Logger;
  readonly #intervalMs: number;
  #counts: Partial<Record<PacketDropReason, number>> = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, intervalMs = TURNED_AWAY_INTERVAL_MS) {
    this.#log = log;
    this.#intervalMs = intervalMs;
  }

  /** The first is told at once, those that follow together when the interval is over. */
  note(reason: PacketDropReason, peer: SocketAddress): void {
    this.#counts[reason] = (this.#counts[reason] ?? 0) + 1;
    if (this.#timer) return;
    this.#log.debug('clients_turned_away_address', { reason, address: formatAddress(peer) });
    this.#tell();
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (Object.keys(this.#counts).length > 0) this.#log.warn('clients_turned_away', this.#counts);
    this.#counts = {};
  }

  #tell(): void {
    this.#log.warn('clients_turned_away', this.#counts);
    this.#counts = {};
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (Object.keys(this.#counts).length > 0) this.#tell();
    }, this.#intervalMs).unref();
  }
}
