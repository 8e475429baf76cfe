// What to do with a long-header packet that belongs to no connection: answer with Version Negotiation or
// Retry, admit it, or drop it with a reason. Keeps no state per peer until its address is validated (RFC 9000 §8.1).

import { randomBytes } from 'node:crypto';
import { MIN_INITIAL_BYTES, MIN_INITIAL_DCID_BYTES, parseLongHeader, QUIC_V1, type LongHeader } from './long-header.js';
import type { PacketRuns } from './packet-runs.js';
import { writeRetry, writeVersionNegotiation } from './quiche-adapter.js';
import { RetryTokens } from './retry-tokens.js';

/** Our connection ids: 128 random bits, so that none can be guessed or linked (RFC 9000 §5.1). */
export const CONNECTION_ID_BYTES = 16;

export type FirstContactDrop = 'initial_too_small' | 'long_header_malformed' | 'unknown_connection' | 'retry_token_invalid';

/** A handshake that may begin. */
export interface Admission {
  /** The connection id this side is known by. */
  readonly id: Buffer;
  /** The id before Retry, proven by the token (RFC 9000 §7.3); undefined where there was no Retry. */
  readonly originalId: Buffer | undefined;
  /** The id the client made up; its retransmitted Initials carry it where there was no Retry. */
  readonly clientChosenId: Buffer;
}

const ANSWERED = 'answered';

export class FirstContact {
  readonly #runs: PacketRuns;
  readonly #retry: boolean;
  readonly #tokens: RetryTokens;

  constructor(runs: PacketRuns, retry: boolean, now: number) {
    this.#runs = runs;
    this.#retry = retry;
    this.#tokens = new RetryTokens(randomBytes, now);
  }

  /** `now` in ms, monotonic. The views in an `Admission` are valid while `packet` is. */
  handle(packet: Buffer, host: string, port: number, now: number): Admission | FirstContactDrop | typeof ANSWERED {
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
    if (header.token.length === 0) return this.#sendRetry(header, host, port, now);
    const originalId = this.#tokens.open(header.token, host, port, header.dcid, now);
    if (!originalId || header.dcid.length !== CONNECTION_ID_BYTES) return 'retry_token_invalid';
    return { id: Buffer.from(header.dcid), originalId, clientChosenId: header.dcid };
  }

  #admitUnproven(header: LongHeader): Admission | FirstContactDrop {
    if (header.dcid.length < MIN_INITIAL_DCID_BYTES) return 'long_header_malformed';
    return { id: randomBytes(CONNECTION_ID_BYTES), originalId: undefined, clientChosenId: header.dcid };
  }

  #sendRetry(header: LongHeader, host: string, port: number, now: number): typeof ANSWERED | FirstContactDrop {
    if (header.dcid.length < MIN_INITIAL_DCID_BYTES) return 'long_header_malformed';
    const id = randomBytes(CONNECTION_ID_BYTES);
    const token = this.#tokens.mint(host, port, header.dcid, id, now);
    this.#runs.sendOne(writeRetry(header.scid, header.dcid, id, token, header.version, this.#runs.buffer), host, port);
    return ANSWERED;
  }
}
