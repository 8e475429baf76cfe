// How long revocations take: from the change of the deny list to the end of the last connection of those it
// names. Owns the one clock; who is revoked, and closing, are the server's.

import type { ConnectionId, LatencyHistogram } from '@ztna/protocol';

export class RevocationTimer {
  readonly #histogram: LatencyHistogram;
  readonly #awaited = new Set<ConnectionId>();
  #since = 0;

  constructor(histogram: LatencyHistogram) {
    this.#histogram = histogram;
  }

  /** @param changedAt ms since the Unix epoch. While connections of an earlier change stand, theirs counts on. */
  begin(changedAt: number): void {
    if (this.#awaited.size === 0) this.#since = changedAt;
  }

  /** This connection is to end because its client is revoked. */
  awaitEnd(conn: ConnectionId): void {
    this.#awaited.add(conn);
  }

  noticeEnd(conn: ConnectionId): void {
    if (!this.#awaited.delete(conn) || this.#awaited.size > 0) return;
    this.#histogram.observe((Date.now() - this.#since) / 1000);
  }
}
