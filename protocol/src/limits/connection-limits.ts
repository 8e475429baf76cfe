// What one authenticated connection may ask of the relay: registrations, session opens, control messages,
// datagrams and bytes. Owns the buckets and their defaults; what happens to the one who asks for more
// is the relay's. One object per connection, allocated once: 312 bytes (measured).

import type { DropReason } from '../wire/drop-reasons.js';
import { BucketRate, TokenBucket, type Rate } from './token-bucket.js';

export interface ConnectionRates {
  readonly registrations: Rate;
  readonly opens: Rate;
  readonly controlMessages: Rate;
  readonly datagrams: Rate;
  /** In bytes of relayed datagrams, their 16-byte headers included. */
  readonly bytes: Rate;
}

export const DEFAULT_CONNECTION_RATES: ConnectionRates = {
  // A client registers once, and again when its services change. Each costs a signature check of 84 µs: 5/s is 0.04 % of a core.
  registrations: { perSecond: 5, burst: 10 },
  // A browser opens tens at once. An open costs two control messages and a session of about 230 bytes.
  opens: { perSecond: 50, burst: 100 },
  // hello, register and a full burst of 100 opens in one flight are 102; a connector answers every open with one message.
  controlMessages: { perSecond: 100, burst: 200 },
  // At 5 µs each 200 000/s is one whole core: no single client takes more. 50 ms of it are 10 000 datagrams.
  datagrams: { perSecond: 200_000, burst: 10_000 },
  // 2 Gbit/s; 200 000/s of full datagrams (1296) would be 259 MB/s. 50 ms of it are 12.5 MB.
  bytes: { perSecond: 250_000_000, burst: 12_500_000 },
};

export const DATAGRAM_ALLOWED = 0;
/** Index by what `checkDatagram` returned; 0 has none. */
export const RATE_DROP_REASONS = [undefined, 'datagram_rate', 'byte_rate'] as const satisfies readonly (DropReason | undefined)[];
export type DatagramVerdict = 0 | 1 | 2;

/** The rates of one configuration worked out once, shared by all connections that live under it. */
export class ConnectionRateTable {
  readonly registrations: BucketRate;
  readonly opens: BucketRate;
  readonly controlMessages: BucketRate;
  readonly datagrams: BucketRate;
  readonly bytes: BucketRate;

  constructor({ registrations, opens, controlMessages, datagrams, bytes }: ConnectionRates = DEFAULT_CONNECTION_RATES) {
    this.registrations = new BucketRate(registrations);
    this.opens = new BucketRate(opens);
    this.controlMessages = new BucketRate(controlMessages);
    this.datagrams = new BucketRate(datagrams);
    this.bytes = new BucketRate(bytes);
  }
}

/** The buckets of one connection, all full at first. */
export class ConnectionLimits {
  /** Beyond it: `registerNack` with `rate_limited`. */
  readonly registrations: TokenBucket;
  /** Beyond it: `openFailed` with `rate_limited`. */
  readonly opens: TokenBucket;
  /** Beyond it: leave the control stream unread for `untilAvailable` ms; flow control then stops the sender. */
  readonly controlMessages: TokenBucket;
  readonly #datagrams: TokenBucket;
  readonly #bytes: TokenBucket;

  /**
   * @param opens one bucket for all connections of an agent identity, so that connecting twice doesn't
   *   double it. Default: a bucket of this connection's own.
   */
  constructor(rates: ConnectionRateTable, now: number, opens = new TokenBucket(rates.opens, now)) {
    this.registrations = new TokenBucket(rates.registrations, now);
    this.opens = opens;
    this.controlMessages = new TokenBucket(rates.controlMessages, now);
    this.#datagrams = new TokenBucket(rates.datagrams, now);
    this.#bytes = new TokenBucket(rates.bytes, now);
  }

  /** Another configuration from `now` on; the buckets keep what they hold. `opens` is left to whom it belongs. */
  setRates(rates: ConnectionRateTable, now: number): void {
    this.registrations.setRate(rates.registrations, now);
    this.controlMessages.setRate(rates.controlMessages, now);
    this.#datagrams.setRate(rates.datagrams, now);
    this.#bytes.setRate(rates.bytes, now);
  }

  /**
   * One received datagram of `bytes`: 0 (`DATAGRAM_ALLOWED`) or an index into `RATE_DROP_REASONS`.
   * One that is refused for its bytes has still cost a datagram: it was received and decrypted.
   */
  checkDatagram(now: number, bytes: number): DatagramVerdict {
    if (!this.#datagrams.take(now)) return 1;
    return this.#bytes.take(now, bytes) ? DATAGRAM_ALLOWED : 2;
  }
}
