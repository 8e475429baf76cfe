// Tells peers that a connection is gone which this process, restarted, knows nothing about (RFC 9000 §10.3).
// Owns which packets are answered and how often, and the answer's bytes; ids and tokens are connection-families.ts.
//
// Against abuse: an answer is shorter than its cause, so that answers to answers die out (§10.3.3), goes only to ids
// that this relay's key made, never to those of a connection that lives (§21.11), and at a bounded rate.

import { randomBytes } from 'node:crypto';
import { BucketRate, TokenBucket, type Rate } from '../limits/token-bucket.js';
import { RESET_TOKEN_BYTES, type ConnectionFamily, type ResetKey } from './connection-families.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import type { PacketRuns } from './packet-runs.js';
import { leadsTo } from './worker-steering.js';

/** RFC 9000 §10.3: 5 bytes and the token. A shorter packet is no reset to any peer. */
export const MIN_RESET_BYTES = 21;
/** Shorter packets are not answered. An idle client's PING has 38 to 41. */
export const MIN_RESET_CAUSE_BYTES = MIN_RESET_BYTES + 1;
/** Looks like any short packet: 1 flags + 16 id + 4 packet number + 5 payload + 16 tag. Less for a cause that has less. */
export const RESET_BYTES = 42;
/** As many handshakes a second as follow are well within what one core does; 21 kB/s if all is abuse. */
export const DEFAULT_RESET_RATE: Rate = { perSecond: 500, burst: 500 };

/**
 * Packets of connections from before a restart are answered for so long after it, ms: twice the idle timeout, after which
 * no such connection is left. Whoever sees a client's Retry could else have the token of the connection to come.
 */
export const RESET_WINDOW_MS = 60_000;

const ID_START = 1;
const ID_END = 17;
const FIXED_BIT = 0x40;

export class StatelessResets {
  /** Answers, and prompts by `send`. */
  sent = 0;
  /** Packets that would have been answered, but for the rate. */
  rateLimited = 0;
  readonly #runs: PacketRuns;
  readonly #live = new Set<string>();
  readonly #rate: BucketRate;
  readonly #bucket: TokenBucket;
  readonly #place: WorkerPlace | undefined;
  readonly #until: number;
  #key: ResetKey;

  /** `now` in ms, monotonic. */
  constructor(key: ResetKey, runs: PacketRuns, now: number, place?: WorkerPlace, rate = DEFAULT_RESET_RATE) {
    this.#place = place;
    this.#until = now + RESET_WINDOW_MS;
    this.#key = key;
    this.#runs = runs;
    this.#rate = new BucketRate(rate);
    this.#bucket = new TokenBucket(this.#rate, now);
  }

  /** A first id for a connection that may come to be. */
  readonly firstId = (): Buffer => this.#key.firstId(this.#place);

  /** For new connections; those that stand keep theirs. */
  setKey(key: ResetKey): void {
    this.#key = key;
  }

  /** Another rate from now on; refills nothing. */
  setRate(rate: Rate): void {
    this.#rate.change(rate);
  }

  /** Undefined for an id that was made before the key changed. */
  familyOf(firstId: Uint8Array): ConnectionFamily | undefined {
    return this.#key.open(firstId, this.#place);
  }

  /** A connection lives: until `forget` none of its ids is answered. */
  begin(family: ConnectionFamily): void {
    this.#live.add(family.name);
  }

  forget(family: ConnectionFamily): void {
    this.#live.delete(family.name);
  }

  /** A packet with a short header that belongs to no connection. */
  handleStray(packet: Buffer, host: string, port: number, now: number): void {
    if (packet.length < MIN_RESET_CAUSE_BYTES || now > this.#until) return;
    const id = packet.subarray(ID_START, ID_END);
    // It came here by mistake of the kernel's: another worker knows whether its connection lives.
    if (this.#place && !leadsTo(id, this.#place)) return;
    const family = this.#key.familyOf(id);
    if (!family || this.#live.has(family.toString('latin1'))) return;
    if (this.#bucket.take(now)) this.send(this.#key.resetToken(family), host, port, Math.min(RESET_BYTES, packet.length - 1));
    else this.rateLimited++;
  }

  /** Unasked; the caller keeps the pace. @param length in bytes, MIN_RESET_BYTES at the least */
  send(resetToken: Uint8Array, host: string, port: number, length = RESET_BYTES): void {
    const { buffer } = this.#runs;
    writeReset(resetToken, buffer, length);
    this.#runs.sendOne(length, host, port);
    this.sent++;
  }
}

/** Unpredictable bytes that pass for a short header packet, and the token at their end. */
export const writeReset = (resetToken: Uint8Array, into: Buffer, length = RESET_BYTES): void => {
  const noise = randomBytes(length - RESET_TOKEN_BYTES);
  noise[0] = FIXED_BIT | (noise[0]! & (FIXED_BIT - 1));
  into.set(noise);
  into.set(resetToken, length - RESET_TOKEN_BYTES);
};
