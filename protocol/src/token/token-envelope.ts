// The token on the wire: a fixed binary envelope, so that nothing unverified reaches a CBOR decoder.
// Owns layout and lengths; what the payload says is token-claims.ts, whether it is to be believed
// verify-token.ts. Drawn in docs/wire/registration-token.md:
//
//   version u8 | keyIdLength u8 | keyId | payloadLength u16 BE | payload CBOR | signature 64 or 32
//
// No algorithm field: it comes from the keyring entry the key id names, so a sender cannot choose it.

import { MAX_TOKEN_BYTES } from '../wire/control-messages.js';
import { isKeyId, KEY_ID_RULE, SIGNATURE_BYTES } from './key-material.js';

export const TOKEN_VERSION = 1;
/** Prefixed to what is signed: the same key's signature over anything else can never pass as a token. */
export const TOKEN_DOMAIN = 'ztna-registration-v1\0';

const domain = new TextEncoder().encode(TOKEN_DOMAIN);
const signatureLengths = new Set(Object.values(SIGNATURE_BYTES));
/** version 1 + key id length 1 */
const FIXED_HEAD_BYTES = 2;
const PAYLOAD_LENGTH_BYTES = 2;

export interface TokenEnvelope {
  readonly keyId: string;
  /** A view into the token. */
  readonly payload: Uint8Array;
  /** The domain prefix and everything before the signature. */
  readonly signatureInput: Uint8Array;
  readonly signature: Uint8Array;
}

export type EnvelopeResult =
  | { readonly ok: true; readonly envelope: TokenEnvelope }
  | { readonly ok: false; readonly reason: string };

/** version, key id and payload: everything before the signature. The caller keeps key id and size within bounds. */
export const encodeUnsignedToken = (keyId: string, payload: Uint8Array): Uint8Array => {
  const id = new TextEncoder().encode(keyId);
  const bytes = new Uint8Array(FIXED_HEAD_BYTES + id.length + PAYLOAD_LENGTH_BYTES + payload.length);
  const payloadLengthAt = FIXED_HEAD_BYTES + id.length;
  bytes[0] = TOKEN_VERSION;
  bytes[1] = id.length;
  bytes.set(id, FIXED_HEAD_BYTES);
  new DataView(bytes.buffer).setUint16(payloadLengthAt, payload.length);
  bytes.set(payload, payloadLengthAt + PAYLOAD_LENGTH_BYTES);
  return bytes;
};

/** What the signature covers. */
export const tokenSignatureInput = (unsignedToken: Uint8Array): Uint8Array =>
  concatBytes(domain, unsignedToken);

export const concatBytes = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
};

/** Takes a token apart. Reads lengths before it slices; a byte too many or too few anywhere is refused. */
export const parseEnvelope = (token: Uint8Array): EnvelopeResult => {
  const refuse = (reason: string): EnvelopeResult => ({ ok: false, reason });
  if (token.length > MAX_TOKEN_BYTES) return refuse(`token is ${token.length} bytes; at most ${MAX_TOKEN_BYTES}`);
  if (token.length < FIXED_HEAD_BYTES) return refuse(`token is ${token.length} bytes; its head alone is ${FIXED_HEAD_BYTES}`);
  if (token[0] !== TOKEN_VERSION) return refuse(`version is ${token[0]!}; must be ${TOKEN_VERSION}`);

  const payloadLengthAt = FIXED_HEAD_BYTES + token[1]!;
  const payloadAt = payloadLengthAt + PAYLOAD_LENGTH_BYTES;
  if (token.length < payloadAt) return refuse(`token is ${token.length} bytes; ends inside the key id or payload length`);
  const keyId = Buffer.from(token.subarray(FIXED_HEAD_BYTES, payloadLengthAt)).toString('latin1');
  if (!isKeyId(keyId)) return refuse(`keyId must be ${KEY_ID_RULE}`);

  const payloadLength = (token[payloadLengthAt]! << 8) | token[payloadLengthAt + 1]!;
  const signatureAt = payloadAt + payloadLength;
  if (token.length < signatureAt) return refuse(`token is ${token.length} bytes; ends inside the payload of ${payloadLength}`);
  if (!signatureLengths.has(token.length - signatureAt)) {
    return refuse(`${token.length - signatureAt} bytes follow the payload; a signature is 64 or 32`);
  }
  return {
    ok: true,
    envelope: {
      keyId,
      payload: token.subarray(payloadAt, signatureAt),
      signatureInput: tokenSignatureInput(token.subarray(0, signatureAt)),
      signature: token.subarray(signatureAt),
    },
  };
};
