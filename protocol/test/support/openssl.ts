// Certificates for tests, made by the real openssl in a directory of the test's own. Owns odd ones too:
// names are given as raw DER, so that any byte can be in them.

import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A reason to skip, or false; never skips where ZTNA_REQUIRE_TOOLS is set, so a CI without openssl fails. */
export const skipWithoutOpenssl = (): string | false =>
  process.env['ZTNA_REQUIRE_TOOLS'] === '1' || spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

/** One GeneralName: [6] URI, [2] DNS, [1] email, [7] IP. */
export type RawName = readonly [kind: 'URI' | 'DNS' | 'email' | 'IP', value: string | Buffer];

const TAGS = { email: 0x81, DNS: 0x82, URI: 0x86, IP: 0x87 } as const;

const derLength = (length: number): Buffer =>
  length < 0x80 ? Buffer.from([length]) : length < 0x100 ? Buffer.from([0x81, length]) : Buffer.from([0x82, length >> 8, length & 0xff]);

/** The DER of a subjectAltName's value, as `DER:30:…` for an openssl configuration. */
const encodeNames = (names: readonly RawName[]): string => {
  const body = Buffer.concat(
    names.map(([kind, value]) => {
      const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
      return Buffer.concat([Buffer.from([TAGS[kind]]), derLength(bytes.length), bytes]);
    }),
  );
  return `DER:${Buffer.concat([Buffer.from([0x30]), derLength(body.length), body]).toString('hex').replace(/..(?=.)/g, '$&:')}`;
};

export interface CertificateRequest {
  readonly names?: readonly RawName[];
  readonly ca?: boolean;
  /** The issuer's file stem; self-signed without. */
  readonly issuer?: string;
  /** As openssl's -days; negative for one that expired. */
  readonly days?: number;
  readonly extendedKeyUsage?: string;
  /** Further lines of the extension section. */
  readonly extra?: readonly string[];
}

/** Writes `<stem>.pem` and `<stem>.key` (0600) into `directory` and returns the certificate. */
export const makeCertificate = (directory: string, stem: string, request: CertificateRequest = {}): X509Certificate => {
  const file = (suffix: string): string => join(directory, `${stem}.${suffix}`);
  writeFileSync(
    file('cnf'),
    [
      '[req]', 'distinguished_name = dn', 'prompt = no', '[dn]', `CN = ${stem}`, '[ext]',
      `basicConstraints = critical,CA:${request.ca === true ? 'TRUE' : 'FALSE'}`,
      ...(request.names ? [`subjectAltName = ${encodeNames(request.names)}`] : []),
      ...(request.extendedKeyUsage === undefined ? [] : [`extendedKeyUsage = ${request.extendedKeyUsage}`]),
      ...(request.extra ?? []), '',
    ].join('\n'),
  );
  const run = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  run('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file('key'));
  chmodSync(file('key'), 0o600);
  run('req', '-new', '-key', file('key'), '-config', file('cnf'), '-out', file('csr'));
  const issuer = request.issuer;
  run(
    'x509', '-req', '-in', file('csr'), '-extfile', file('cnf'), '-extensions', 'ext', '-days', String(request.days ?? 2),
    ...(issuer === undefined
      ? ['-signkey', file('key')]
      : ['-CA', join(directory, `${issuer}.pem`), '-CAkey', join(directory, `${issuer}.key`), '-CAcreateserial']),
    '-out', file('pem'),
  );
  return new X509Certificate(readFileSync(file('pem')));
};
