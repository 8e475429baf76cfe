// Connection ids that a restarted process still understands. All ids of one connection are one "family",
// encrypted under a key that outlives the process, and share one stateless reset token (RFC 9000 §10.3):
//
//   id    = AES-128(family 80 bits | number u48)      one block: 16 bytes, unlinkable without the key
//   token = HMAC-SHA256(family), first 16 bytes
//
// One token for the family because quiche 0.18, as a client, checks that of the first id only.
// Who gets a reset is stateless-resets.ts.

import { createCipheriv, createDecipheriv, createHmac, createPrivateKey, hkdfSync, randomBytes, type Cipher, type Decipher } from 'node:crypto';
import type { WorkerPlace } from '../wire/control-messages.js';
import { makeLeading } from './worker-steering.js';

/** 2^40 connections until two are likely to share one, which costs a reset that is not sent. */
const FAMILY_BYTES = 10;
const NUMBER_BYTES = 6;
const BLOCK_BYTES = 16;
const AES_KEY_BYTES = 16;
const MAC_KEY_BYTES = 32;
export const RESET_TOKEN_BYTES = 16;
/**
 * Ids one connection may be issued over its life: two per change of address, so 32 768 of those; divided by the number of
 * workers where there are several, as only ids that lead to the connection's own are issued. As the
 * number's upper 32 bits are then zero, it tells our ids from random bytes, all but one in 2^32 of them.
 */
export const MAX_IDS_PER_FAMILY = 65_536;
const INFO = 'ztna stateless reset';

/** A connection's share in its family. */
export interface ConnectionFamily {
  /** Tells it from all others. */
  readonly name: string;
  readonly resetToken: Buffer;
  /** One more id, or undefined when the family has none left. */
  nextId(): Buffer | undefined;
}

/** The key of one relay. */
export class ResetKey {
  readonly #cipher: Cipher;
  readonly #decipher: Decipher;
  readonly #macKey: Buffer;

  /** @param secret 48 bytes that nobody else knows */
  constructor(secret: Uint8Array) {
    if (secret.length !== AES_KEY_BYTES + MAC_KEY_BYTES) throw new RangeError(`a reset key has 48 bytes, not ${secret.length}`);
    const aesKey = secret.subarray(0, AES_KEY_BYTES);
    // Single blocks of a value that never repeats: the one use that ECB is right for. Without padding each call gives its block at once.
    this.#cipher = createCipheriv('aes-128-ecb', aesKey, null).setAutoPadding(false);
    this.#decipher = createDecipheriv('aes-128-ecb', aesKey, null).setAutoPadding(false);
    this.#macKey = Buffer.from(secret.subarray(AES_KEY_BYTES));
  }

  /**
   * The key of the process that has this private key, the same at every start: nothing needs to be stored. HKDF
   * (RFC 5869) keeps the two uses of it apart.
   *
   * @throws Error when the PEM holds no private key
   */
  static derive(privateKeyPem: Uint8Array): ResetKey {
    const der = createPrivateKey(Buffer.from(privateKeyPem)).export({ type: 'pkcs8', format: 'der' });
    return new ResetKey(new Uint8Array(hkdfSync('sha256', der, '', INFO, AES_KEY_BYTES + MAC_KEY_BYTES)));
  }

  /** The first id of a new connection, one that leads to the worker at `place` if there is one. */
  firstId(place?: WorkerPlace): Buffer {
    return makeLeading(() => this.#seal(randomBytes(FAMILY_BYTES), 0), place);
  }

  /** The family an id was made for, or undefined for one that was not made with this key. */
  familyOf(id: Uint8Array): Buffer | undefined {
    if (id.length !== BLOCK_BYTES) return undefined;
    const plain = this.#decipher.update(id);
    return plain.readUIntBE(FAMILY_BYTES, NUMBER_BYTES) < MAX_IDS_PER_FAMILY ? plain.subarray(0, FAMILY_BYTES) : undefined;
  }

  resetToken(family: Uint8Array): Buffer {
    return createHmac('sha256', this.#macKey).update(family).digest().subarray(0, RESET_TOKEN_BYTES);
  }

  /** The family of a connection that has this first id; undefined for an id of another making. */
  open(firstId: Uint8Array, place?: WorkerPlace): ConnectionFamily | undefined {
    const family = this.familyOf(firstId);
    if (!family) return undefined;
    const resetToken = this.resetToken(family);
    let number = 0;
    return {
      name: family.toString('latin1'),
      resetToken,
      nextId: () => makeLeading(() => (++number < MAX_IDS_PER_FAMILY ? this.#seal(family, number) : undefined), place),
    };
  }

  #seal(family: Uint8Array, number: number): Buffer {
    const plain = Buffer.alloc(BLOCK_BYTES);
    plain.set(family);
    plain.writeUIntBE(number, FAMILY_BYTES, NUMBER_BYTES);
    return this.#cipher.update(plain);
  }
}
