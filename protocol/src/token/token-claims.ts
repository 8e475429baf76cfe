// What a registration token claims, and its CBOR. Owns shape, bounds and the one allowed encoding
// (RFC 8949 §4.2.1, core deterministic); whether a claim holds is verify-token.ts.

import { createHash } from 'node:crypto';
// Not 'cbor-x' itself: that would switch on its native string extractor for the whole process.
import { Decoder, Encoder } from 'cbor-x/encode';
import { z } from 'zod';
import type { FailureCode } from '../failure-codes.js';
import { isName, parseIdentity, ROLES, type Role } from '../identity.js';
import { MAX_SERVICES_PER_REGISTRATION } from '../wire/control-messages.js';

/** 128 bits: by the birthday bound 2^36 tokens of one key collide with probability 2^-57. */
export const NONCE_BYTES = 16;
/** SHA-256. */
export const BINDING_BYTES = 32;

export interface TokenClaims {
  /** Milliseconds since the Unix epoch, by the client's clock. */
  readonly issuedAt: number;
  /** Seconds from `issuedAt`; at least 1. The relay's bound is `MAX_TOKEN_TTL_SECONDS`. */
  readonly ttlSeconds: number;
  readonly nonce: Uint8Array;
  readonly role: Role;
  /** The client's `spiffe://<trust-domain>/<role>/<name>`. */
  readonly identity: string;
  /** What a connector offers to serve, without repeats; empty for an agent. */
  readonly services: readonly string[];
  /** The relay's `spiffe://<trust-domain>/relay/<name>`. */
  readonly audience: string;
  /** SHA-256 of the client's leaf certificate in DER: `tokenBinding(der)`. */
  readonly binding: Uint8Array;
}

export type ClaimsResult =
  | { readonly ok: true; readonly claims: TokenClaims }
  | { readonly ok: false; readonly code: FailureCode & ('token_malformed' | 'too_many_services'); readonly reason: string };

/** Ties a token to the certificate of the connection it is sent on. */
export const tokenBinding = (leafCertificateDer: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(leafCertificateDer).digest());

// Shortest map heads, byte strings without a tag, plain maps; 64-bit integers read as numbers (an option
// that cbor-x has and its types lack).
const decoderOptions = { useRecords: false, mapsAsObjects: true, int64AsNumber: true };
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const decoder = new Decoder(decoderOptions);

const bytesOf = (length: number) =>
  z.instanceof(Uint8Array).refine((bytes) => bytes.length === length, `must be ${length} bytes`);
const identity = z.string().refine((uri) => parseIdentity(uri) !== undefined, 'must be spiffe://<trust-domain>/<role>/<name>');

const claimsSchema = z.strictObject({
  issuedAt: z.int().min(0),
  ttlSeconds: z.int().min(1),
  nonce: bytesOf(NONCE_BYTES),
  role: z.enum(ROLES),
  identity,
  services: z
    .array(z.string().refine(isName, 'must be a service name'))
    .refine((services) => new Set(services).size === services.length, 'names a service twice'),
  audience: identity,
  binding: bytesOf(BINDING_BYTES),
});

/** Checks shape and bounds of claims, whoever made them. Says which field, never throws. */
export const checkClaims = (value: unknown): ClaimsResult => {
  const parsed = claimsSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { ok: false, code: 'token_malformed', reason: `${z.core.toDotPath(issue.path) || 'claims'}: ${issue.message}` };
  }
  const claims = parsed.data;
  if (claims.services.length > MAX_SERVICES_PER_REGISTRATION) {
    const reason = `services: ${claims.services.length} named; at most ${MAX_SERVICES_PER_REGISTRATION}`;
    return { ok: false, code: 'too_many_services', reason };
  }
  return { ok: true, claims };
};

/** The one encoding of these claims: shortest heads, keys by their encoded bytes. The caller has checked them. */
export const encodeClaims = (claims: TokenClaims): Uint8Array =>
  encoder.encode({
    role: claims.role,
    nonce: claims.nonce,
    binding: claims.binding,
    audience: claims.audience,
    identity: claims.identity,
    // cbor-x writes a number past 32 bits as a float; as a bigint it is the 64-bit integer it should be.
    issuedAt: claims.issuedAt > 0xffff_ffff ? BigInt(claims.issuedAt) : claims.issuedAt,
    services: claims.services,
    ttlSeconds: claims.ttlSeconds,
  });

/**
 * Decodes a payload whose signature has been verified: not before, since a general CBOR decoder is much
 * surface for a stranger. A key holder may still be an attacker, so anything but the one encoding of
 * valid claims is refused: encoding the result again must give the same bytes, which rules out
 * repeated keys, tags, floats, long heads and trailing bytes without a rule for each.
 */
export const decodeClaims = (payload: Uint8Array): ClaimsResult => {
  const malformed = (reason: string): ClaimsResult => ({ ok: false, code: 'token_malformed', reason });
  let value: unknown;
  try {
    value = decoder.decode(payload);
  } catch {
    return malformed('payload: not a CBOR item');
  }
  const checked = checkClaims(value);
  if (!checked.ok) return checked;
  const { claims } = checked;
  if (Buffer.compare(encodeClaims(claims), payload) !== 0) return malformed('payload: not in deterministic encoding (RFC 8949 §4.2.1)');
  // Copies: the decoder's byte strings are views into the message the token came in.
  return { ok: true, claims: { ...claims, nonce: Uint8Array.from(claims.nonce), binding: Uint8Array.from(claims.binding) } };
};
