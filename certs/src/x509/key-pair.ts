// ECDSA P-256 key pairs and their forms in files and certificates. Keys never leave node:crypto except as PKCS#8 PEM.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { ZtnaError } from '@ztna/protocol';
import { children, content, decode } from './der.js';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** P-256 (RFC 5480 §2.1.1.1): 2.5× the handshakes per second of RSA-2048. */
export const generateKeyPair = (): KeyPair => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** Unencrypted PKCS#8 PEM (RFC 5958): what the TLS stack loads. The caller writes it with `writeSecretFile`. */
export const privateKeyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';

/** SubjectPublicKeyInfo DER (RFC 5280 §4.1.2.7). */
export const publicKeyInfo = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

/** RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over the key's BIT STRING, without its unused-bits byte. */
export const keyIdentifier = (key: KeyObject): Buffer => {
  const bits = content(children(decode(publicKeyInfo(key)))[1]);
  return createHash('sha256').update(bits.subarray(1)).digest().subarray(0, 20);
};

/**
 * Reads a private key PEM. `what` names the file in the message.
 * @throws ZtnaError `certificate_unusable`; the message never quotes the input.
 */
export const parsePrivateKey = (pem: string, what: string): KeyObject => {
  try {
    return createPrivateKey(pem);
  } catch {
    // The cause is dropped on purpose: an encrypted or garbled key must not end up in a log.
    throw new ZtnaError('certificate_unusable', `${what} holds no unencrypted private key in PEM form`);
  }
};

/** A private key with its public one. */
export const keyPairOf = (privateKey: KeyObject): KeyPair => ({ privateKey, publicKey: createPublicKey(privateKey) });

/** Whether the private key belongs to the public key. */
export const keysMatch = (privateKey: KeyObject, publicKey: KeyObject): boolean =>
  createPublicKey(privateKey).equals(publicKey);
