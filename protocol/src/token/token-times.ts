// The bounds on a token's life, with the arithmetic that the replay log is sized by. Design §2.

import type { TokenClaims } from './token-claims.js';

/** A token is minted for one registration and sent at once; a minute covers a slow handshake and retries. */
export const MAX_TOKEN_TTL_SECONDS = 60;
/** How far a client's clock may be from the relay's, either way. */
export const CLOCK_SKEW_MS = 30_000;
/**
 * The longest a relay can see one token as live: issued 30 s ahead of the relay's clock,
 * a ttl of 60 s, 30 s of grace = 120 s. A nonce is never remembered longer.
 */
export const MAX_TOKEN_LIFE_MS = CLOCK_SKEW_MS + MAX_TOKEN_TTL_SECONDS * 1000 + CLOCK_SKEW_MS;

/** The first millisecond (epoch, relay's clock) at which the token is expired: it is live while `now` is smaller. */
export const tokenExpiresAt = (claims: TokenClaims): number =>
  claims.issuedAt + claims.ttlSeconds * 1000 + CLOCK_SKEW_MS;
