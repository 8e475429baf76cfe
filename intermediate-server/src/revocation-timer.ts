// How long revocations take: from the change of the deny list to the end of the last connection of those it
// names. Owns the one clock; who is revoked, and closing, are the server's. Files are dated by the wall clock, which may
// be set at any moment: it is read once, at the beginning, and what follows is counted by the monotonic one.

import { performance } from 'node:perf_hooks';
import type { ConnectionId, LatencyHistogram } from '@ztna/protocol';

export interface RevocationClocks {
  /** ms. */
  readonly monotonic: () => number;
  /** ms since the Unix epoch. */
  readonly wall: () => number;
}

export class RevocationTimer {
  readonly #histogram: LatencyHistogram;
  readonly #awaited = new Set<ConnectionId>();
  readonly #clocks: RevocationClocks;
  /** By the monotonic clock. */
  #since = 0;

  constructor(histogram: LatencyHistogram, clocks: RevocationClocks = { monotonic: () => performance.now(), wall: Date.now }) {
    this.#histogram = histogram;
    this.#clocks = clocks;
  }

  /** @param changedAt ms since the Unix epoch. While connections of an earlier change stand, theirs counts on. */
  begin(changedAt: number): void {
    const { monotonic, wall } = this.#clocks;
    if (this.#awaited.size === 0) this.#since = monotonic() - Math.max(0, wall() - changedAt);
  }

  /** This connection is to end because its client is revoked. */
  awaitEnd(conn: ConnectionId): void {
    this.#awaited.add(conn);
  }

  noticeEnd(conn: ConnectionId): void {
    if (!this.#awaited.delete(conn) || this.#awaited.size > 0) return;
    this.#histogram.observe((this.#clocks.monotonic() - this.#since) / 1000);
  }
}
