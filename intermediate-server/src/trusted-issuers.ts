// The CAs of the bundle as reviews need them: whether the one that issued a client's certificate is still among them.
// A certificate is parsed once, when its client connects, since that takes 0.1 ms: for 10 000 clients at every review
// it would stop the relay for a second.

import { createHash, type X509Certificate } from 'node:crypto';
import { parsePemCertificates } from '@ztna/protocol';

/** A CA by its name and its key: renewed with both it is the same. */
export type IssuerId = string;

export class TrustedIssuers {
  readonly #issuers: readonly { readonly certificate: X509Certificate; readonly id: IssuerId }[];
  readonly #ids: ReadonlySet<IssuerId>;

  /** @param caPem a bundle that was checked when it was loaded */
  constructor(caPem: Buffer) {
    const parsed = parsePemCertificates(caPem);
    this.#issuers = typeof parsed === 'string' ? [] : parsed.map((certificate) => ({ certificate, id: issuerId(certificate) }));
    this.#ids = new Set(this.#issuers.map(({ id }) => id));
  }

  /** By name and key id, since the handshake verified the signature: by that only where two CAs have one name. */
  issuerOf(leaf: X509Certificate): IssuerId | undefined {
    const named = this.#issuers.filter(({ certificate }) => leaf.checkIssued(certificate));
    const issuer = named.length > 1 ? named.find(({ certificate }) => leaf.verify(certificate.publicKey)) : named[0];
    return issuer?.id;
  }

  /** A CA that left the bundle takes what it issued with it. */
  has(issuer: IssuerId): boolean {
    return this.#ids.has(issuer);
  }
}

const issuerId = ({ subject, publicKey }: X509Certificate): IssuerId =>
  createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).update(subject).digest('base64');
