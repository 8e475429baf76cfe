// PEM files of certificates and whether they lead to the pinned CA. TLS will decide again on every
// handshake; this finds at start-up, with names and dates, what would otherwise be a bare TLS alert.

import { X509Certificate } from 'node:crypto';
import { quoteText } from '../log/escape-text.js';

/** As TLS reads them: both boundaries have a line to themselves. */
const PEM_BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n[^-]*^-----END \1-----[ \t]*\r?$/gm;
/** Of what is left without the blocks: a boundary, whole or, at the end of the file, cut off. TLS would stumble over it or, worse, leave the block out. RFC 7468 §2 allows other text. */
const LOOSE_BOUNDARY = /-----(?:BEGIN|END)|(?:^|\n)(?:-{1,5}|-----B|-----BE|-----BEG|-----BEGI)$/;
/** Leaf, two intermediates and room; also the bound on the walk. */
const MAX_CERTIFICATES = 16;

/** The certificates of a PEM file in order, at least one; or what is wrong with it. */
export const parsePemCertificates = (pem: Buffer): X509Certificate[] | string => {
  const text = pem.toString('latin1');
  const blocks = [...text.matchAll(PEM_BLOCK)];
  if (blocks.some(([, label]) => label!.endsWith('PRIVATE KEY')))
    return 'holds a private key; keep it in a file of its own that nobody else can read';
  if (LOOSE_BOUNDARY.test(text.replace(PEM_BLOCK, ''))) return 'holds a PEM block that is cut off or damaged: each must run from its -----BEGIN line to its -----END line, with nothing else in these';
  const certificates = blocks.filter(([, label]) => label === 'CERTIFICATE');
  if (certificates.length === 0) return 'holds no PEM certificate (-----BEGIN CERTIFICATE-----)';
  if (certificates.length > MAX_CERTIFICATES) return `holds more than ${MAX_CERTIFICATES} certificates`;
  try {
    return certificates.map(([block]) => new X509Certificate(block));
  } catch {
    return 'holds a certificate that cannot be decoded';
  }
};

/** Undefined when `now` is inside the certificate's validity, else a sentence with the dates. */
export const validityProblem = (certificate: X509Certificate, now: Date): string | undefined => {
  const from = new Date(certificate.validFrom);
  const to = new Date(certificate.validTo);
  if (now < from) return `is not valid before ${from.toISOString()}, and this machine's clock says ${now.toISOString()}`;
  if (now > to) return `expired at ${to.toISOString()}, and this machine's clock says ${now.toISOString()}`;
  return undefined;
};

/** Undefined when `chain` (leaf first) is signed up to one of `roots`, every certificate in date; else a sentence. */
export const chainProblem = (
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: Date,
): string | undefined => {
  let current = chain[0]!;
  for (let hops = 0; hops <= MAX_CERTIFICATES; hops++) {
    const root = roots.find((candidate) => signs(candidate, current));
    if (root) {
      const problem = validityProblem(root, now);
      return problem === undefined ? undefined : `leads to a CA certificate that ${problem}`;
    }
    const issuer = chain.find((candidate) => candidate !== current && signs(candidate, current));
    if (!issuer) return `is not signed by the CA: its issuer is ${describeName(current.issuer)}, the CA is ${describeName(roots[0]!.subject)}`;
    const problem = validityProblem(issuer, now);
    if (problem !== undefined) return `has an intermediate that ${problem}`;
    current = issuer;
  }
  return 'has a chain that goes round in circles';
};

const signs = (issuer: X509Certificate, subject: X509Certificate): boolean => {
  try {
    return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
};

/** Node gives one attribute per line. */
const describeName = (name: string | undefined): string => quoteText((name ?? '').replaceAll('\n', ', '));
