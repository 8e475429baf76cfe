// Recognises Ed25519 public keys of small order. For these a signature can be made without any private
// key (R = S·B for the identity point), and OpenSSL verifies it (RFC 8032 §5.1.7 does not forbid it). An
// all-zero placeholder is one of them, so a keyring refuses them rather than be open to everyone.

/**
 * The y coordinates, little-endian, of the eight points whose order divides 8, with the non-canonical
 * spellings that decoders accept. Source: libsodium, ed25519_ref10.c `ge25519_has_small_order`.
 */
const SMALL_ORDER_Y = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000', // 0, order 4
  '0100000000000000000000000000000000000000000000000000000000000000', // 1, the identity
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', // order 8
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', // order 8
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p - 1, order 2
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p = 0
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // p + 1 = 1
]);

/** @param publicKey 32 bytes; the top bit of the last one is the sign of x, which does not matter here. */
export const isSmallOrderPoint = (publicKey: Uint8Array): boolean => {
  const y = Buffer.from(publicKey);
  y[31] = y[31]! & 0x7f;
  return SMALL_ORDER_Y.has(y.toString('hex'));
};
