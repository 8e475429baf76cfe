// Certificates that @ztna/certs does not make but other issuers do, or should not: RSA and other keys, intermediates, SHA-1.
// Made with openssl, the way cert-manager's and step-ca's look.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'Ed25519' | `RSA-${number}`;

export interface Issued {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface LeafOptions {
  readonly key?: KeyKind;
  readonly digest?: 'sha1' | 'sha256';
  /** openssl's extension lines. */
  readonly extensions: readonly string[];
}

const keyArguments = (kind: KeyKind): string[] =>
  kind === 'Ed25519' ? ['ed25519'] : kind.startsWith('RSA-') ? ['rsa', '-pkeyopt', `rsa_keygen_bits:${kind.slice(4)}`] : ['EC', '-pkeyopt', `ec_paramgen_curve:${kind}`];

/** Signs `extensions` with `issuer`, or with its own key. */
export const opensslCertificate = (subject: string, { key = 'P-256', digest = 'sha256', extensions }: LeafOptions, issuer?: Issued): Issued => {
  const folder = mkdtempSync(join(tmpdir(), 'openssl-pki-'));
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  try {
    const algorithm = keyArguments(key);
    openssl('genpkey', '-algorithm', algorithm[0]!, ...algorithm.slice(1), '-out', path('key'));
    openssl('req', '-new', '-key', path('key'), '-subj', `/CN=${subject}`, '-out', path('csr'));
    writeFileSync(path('ext'), `${extensions.join('\n')}\n`);
    const signer = issuer ? ['-CA', path('ca'), '-CAkey', path('cakey'), '-set_serial', `0x4${Date.now().toString(16)}`] : ['-signkey', path('key')];
    if (issuer) {
      writeFileSync(path('ca'), issuer.certificatePem);
      writeFileSync(path('cakey'), issuer.keyPem);
    }
    openssl('x509', '-req', '-in', path('csr'), '-days', '60', `-${digest}`, '-extfile', path('ext'), ...signer, '-out', path('crt'));
    return { certificatePem: readFileSync(path('crt'), 'utf8'), keyPem: readFileSync(path('key'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const caExtensions = (pathLength?: number): string[] => [
  `basicConstraints=critical,CA:TRUE${pathLength === undefined ? '' : `,pathlen:${pathLength}`}`,
  'keyUsage=critical,digitalSignature,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
];

/** What cert-manager signs for `usages: [server auth]` and the like. */
export const relayExtensions = (trustDomain: string, changes: { usage?: string; purposes?: string } = {}): string[] => [
  `keyUsage=critical,${changes.usage ?? 'digitalSignature,keyEncipherment'}`,
  ...(changes.purposes === '' ? [] : [`extendedKeyUsage=${changes.purposes ?? 'serverAuth'}`]),
  'basicConstraints=critical,CA:FALSE',
  `subjectAltName=URI:spiffe://${trustDomain}/relay/relay-1,DNS:relay-1.relay.${trustDomain}`,
];
