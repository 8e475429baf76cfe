// What to do with a long-header packet that belongs to no connection: answer with Version Negotiation or
// Retry, admit it, or drop it with a reason. Keeps no state per peer until its address is validated (RFC 9000 §8.1).

import { performance } from 'node:perf_hooks';
import { BucketRate, TokenBucket, type Rate } from '../limits/token-bucket.js';
import type { ServerChanges, ServerInit } from './endpoint-init.js';
import { writeInitialClose } from './initial-close.js';
import { CONNECTION_ID_BYTES, randomConnectionId } from './connection-table.js';
import { MIN_INITIAL_BYTES, MIN_INITIAL_DCID_BYTES, parseLongHeader, QUIC_V1, type LongHeader } from './long-header.js';
import type { PacketDropReason } from './packet-drops.js';
import type { PacketRuns } from './packet-runs.js';
import { writeRetry, writeVersionNegotiation } from './quiche-adapter.js';
import { RandomRetryKeys } from './retry-keys.js';
import { RetryTokens } from './retry-tokens.js';

export type FirstContactDrop = 'initial_too_small' | 'long_header_malformed' | 'unknown_connection' | 'address_validation_rate' | 'retry_token_invalid';

/** A handshake that may begin. */
export interface FirstInitial {
  /** The connection id this side is known by. */
  readonly id: Buffer;
  /** The id before Retry, proven by the token (RFC 9000 §7.3); undefined where there was no Retry. */
  readonly originalId: Buffer | undefined;
  /** The id the client chose for itself: where an answer goes. */
  readonly clientId: Buffer;
  /** The id the client made up; its retransmitted Initials carry it where there was no Retry. */
  readonly clientChosenId: Buffer;
}

const ANSWERED = 'answered';

/**
 * Refusals worth an answer: waiting does not help, so a client should say so and go elsewhere. Of the others nothing
 * is said: they last seconds, and the client's next Initial, token and all, is its next try.
 */
const ANSWERED_REFUSALS: Readonly<Partial<Record<PacketDropReason, string>>> = {
  too_many_connections: 'this relay has as many connections as it takes',
  source_connections: 'too many connections from this address at this relay',
};

export class FirstContact {
  readonly #runs: PacketRuns;
  readonly #retry: boolean;
  readonly #tokens: RetryTokens;
  readonly #newId: () => Buffer;

  /** Of Retry packets, and of tokens opened: apart, so that forged tokens keep nobody from getting a good one. */
  #retries: TokenBucket | undefined;
  #opens: TokenBucket | undefined;

  /** @param newId first ids of connections, `CONNECTION_ID_BYTES` long */
  constructor(
    runs: PacketRuns,
    { retry, retryKeys = new RandomRetryKeys(), validations }: Pick<ServerInit, 'retry' | 'retryKeys' | 'validations'>,
    newId: () => Buffer = randomConnectionId,
  ) {
    this.#runs = runs;
    this.#retry = retry;
    this.#tokens = new RetryTokens(retryKeys);
    this.#newId = newId;
    this.update({ validations });
  }

  update({ retryKeys, validations }: Pick<ServerChanges, 'retryKeys'> & { validations?: Rate | undefined }): void {
    if (retryKeys) this.#tokens.setKeys(retryKeys);
    if (!validations) return;
    const rate = new BucketRate(validations);
    const now = performance.now();
    // Kept as they are filled: every reload comes by here, and a flood must not profit from it.
    if (this.#retries) this.#retries.setRate(rate, now);
    else this.#retries = new TokenBucket(rate, now);
    if (this.#opens) this.#opens.setRate(rate, now);
    else this.#opens = new TokenBucket(rate, now);
  }

  /** The views in a `FirstInitial` are valid while `packet` is. */
  handle(packet: Buffer, host: string, port: number): FirstInitial | FirstContactDrop | typeof ANSWERED {
    // A reply is never larger than what it answers: no amplification for spoofed sources.
    if (packet.length < MIN_INITIAL_BYTES) return 'initial_too_small';
    const header = parseLongHeader(packet);
    if (!header) return 'long_header_malformed';
    if (header.version === 0) return 'unknown_connection'; // an answer; never answered (RFC 9000 §6.1)
    if (header.version !== QUIC_V1) {
      this.#runs.sendOne(writeVersionNegotiation(header.scid, header.dcid, this.#runs.buffer), host, port);
      return ANSWERED;
    }
    if (header.type !== 0) return 'unknown_connection';
    if (!this.#retry) return this.#admitUnproven(header);
    const isFirst = header.token.length === 0;
    const bucket = isFirst ? this.#retries : this.#opens;
    if (bucket && !bucket.take(performance.now())) return 'address_validation_rate';
    if (isFirst) return this.#sendRetry(header, host, port);
    const originalId = this.#tokens.open(header.token, host, port, header.dcid);
    if (!originalId || header.dcid.length !== CONNECTION_ID_BYTES) return 'retry_token_invalid';
    return { id: Buffer.from(header.dcid), originalId, clientId: header.scid, clientChosenId: header.dcid };
  }

  /**
   * Tells a client that it was turned away, where that helps it. Only to an address that Retry has validated, and less
   * than a sixth of what came in.
   */
  refuse(initial: FirstInitial, why: PacketDropReason, host: string, port: number): void {
    const reason = ANSWERED_REFUSALS[why];
    if (reason === undefined || !initial.originalId) return;
    const { clientChosenId, clientId: destination, id: source } = initial;
    this.#runs.sendOne(writeInitialClose({ clientDestination: clientChosenId, destination, source, reason }, this.#runs.buffer), host, port);
  }

  #admitUnproven(header: LongHeader): FirstInitial | FirstContactDrop {
    if (header.dcid.length < MIN_INITIAL_DCID_BYTES) return 'long_header_malformed';
    return { id: this.#newId(), originalId: undefined, clientId: header.scid, clientChosenId: header.dcid };
  }

  #sendRetry(header: LongHeader, host: string, port: number): typeof ANSWERED | FirstContactDrop {
    if (header.dcid.length < MIN_INITIAL_DCID_BYTES) return 'long_header_malformed';
    const id = this.#newId();
    const token = this.#tokens.mint(host, port, header.dcid, id);
    this.#runs.sendOne(writeRetry(header.scid, header.dcid, id, token, header.version, this.#runs.buffer), host, port);
    return ANSWERED;
  }
}
