// A relay and a connector's secrets, as content by object and key: made with @ztna/certs, then laid out as a folder or,
// by the real kubectl (client side), as manifests. Tests change one piece of content and look at what is found.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import {
  createAuthority, generateRegistrationKey, issueCertificate,
  type Authority, type CertificateRequest, type IssuedCertificate, type KeyringEntry, type RegistrationKeyRequest,
} from '@ztna/certs';
import { scratch } from './scratch.js';
import { findTool, requireTool } from '../harness/tools.js';

export const TRUST_DOMAIN = 'example.test';
export const DAY_MS = 86_400_000;
export const SERVICES = ['web', 'ssh-box'];

/** By object, then by key. */
export type Content = Record<string, Record<string, string>>;

export const RELAY_TLS = 'Secret/intermediate-server-tls';
export const RELAY_KEYRING = 'Secret/intermediate-server-keyring';
export const CONNECTOR_TLS = 'Secret/app-connector-tls';
export const REGISTRATION = 'Secret/app-connector-registration';
export const CONNECTOR_CONFIG = 'ConfigMap/app-connector';
export const RELAY_CONFIG = 'ConfigMap/intermediate-server';

/** The subfolder that stands for each object. */
const FOLDER: Record<string, string> = {
  [RELAY_TLS]: 'relay', [RELAY_KEYRING]: 'relay', [RELAY_CONFIG]: 'relay',
  [CONNECTOR_TLS]: 'connector', [REGISTRATION]: 'connector', [CONNECTOR_CONFIG]: 'connector',
};

/** The same thing's name in a finding on files. */
export const fileLabel = (object: string, key: string): string => `${FOLDER[object]!}/${key}`;

// Made long ago, so that its certificates can be of any age.
export const authority: Authority = createAuthority({ trustDomain: TRUST_DOMAIN, now: new Date(Date.now() - 400 * DAY_MS) });
/** Of the same name and trust domain, with a key of its own. */
export const foreignAuthority: Authority = createAuthority({ trustDomain: TRUST_DOMAIN });

const relay: CertificateRequest = { role: 'relay', name: 'relay-1' };
const connector: CertificateRequest = { role: 'connector', name: 'connector-1', services: SERVICES };
export const relayRequest = (changes: Partial<CertificateRequest> = {}): CertificateRequest => ({ ...relay, ...changes });
export const connectorRequest = (changes: Partial<CertificateRequest> = {}): CertificateRequest => ({ ...connector, ...changes });

export const tls = ({ certificatePem, keyPem }: IssuedCertificate, ca = authority): Record<string, string> => ({
  'ca.crt': ca.certificatePem,
  'tls.crt': certificatePem,
  'tls.key': keyPem,
});

export const registrationKey = (changes: Partial<RegistrationKeyRequest> = {}) =>
  generateRegistrationKey({ keyId: 'connector-1', scope: { role: 'connector', identities: ['connector-1'], services: SERVICES }, ...changes });
export const agentKey = generateRegistrationKey({ keyId: 'alice', scope: { role: 'agent', identities: ['alice'], services: [] } });
export const keyringOf = (...keys: unknown[]): string => stringify({ keys });

export interface Pair {
  readonly keyFileYaml: string;
  readonly keyringEntry: KeyringEntry;
}

const certificates = {
  relay: issueCertificate(authority, relay),
  connector: issueCertificate(authority, connector),
  key: registrationKey(),
};

/** Everything in order. A fresh copy each time; the keys in it are the same. */
export const goodContent = (key: Pair = certificates.key): Content => ({
  [RELAY_TLS]: tls(certificates.relay),
  [RELAY_KEYRING]: { 'keyring.yaml': keyringOf(agentKey.keyringEntry, key.keyringEntry) },
  [RELAY_CONFIG]: {
    'relay.yaml': stringify({ listen: '0.0.0.0:4433', tls: { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' }, keyring: 'keyring.yaml', policy: 'policy.yaml' }),
    'policy.yaml': stringify({ rules: [{ allow: ['alice'], services: SERVICES }] }),
  },
  [CONNECTOR_TLS]: tls(certificates.connector),
  [REGISTRATION]: { 'registration.yaml': key.keyFileYaml },
  [CONNECTOR_CONFIG]: {
    'connector.yaml': stringify({
      relays: [{ address: 'relay.example:4433', name: 'relay-1' }],
      tls: { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' },
      registration: { key: 'registration.yaml' },
      services: Object.fromEntries(SERVICES.map((name) => [name, { backend: '127.0.0.1:8080', allow: '*' }])),
    }),
  },
});

/** Writes `content` below a fresh folder of the test; secrets with mode 0600. */
export const asFolder = (t: Test, content: Content): string => {
  const root = scratch(t);
  for (const [object, entries] of Object.entries(content)) {
    const folder = join(root, FOLDER[object]!);
    mkdirSync(folder, { recursive: true });
    for (const [key, text] of Object.entries(entries)) {
      writeFileSync(join(folder, key), text);
      chmodSync(join(folder, key), key.endsWith('.crt') ? 0o644 : 0o600);
    }
  }
  return root;
};

const rendered = new Map<string, string>();

/** One object as the real kubectl writes it. */
const render = (t: Test, object: string, entries: Record<string, string>): string => {
  const cacheKey = JSON.stringify([object, entries]);
  const known = rendered.get(cacheKey);
  if (known !== undefined) return known;
  const folder = scratch(t);
  const files = Object.entries(entries).map(([key, text]) => {
    const path = join(folder, key);
    writeFileSync(path, text);
    return `--from-file=${path}`;
  });
  const [kind, name] = object.split('/') as [string, string];
  const what = kind === 'ConfigMap' ? ['configmap', name] : ['secret', 'generic', name, ...(name.endsWith('-tls') ? ['--type=kubernetes.io/tls'] : [])];
  const yaml = execFileSync(findTool('kubectl')!, ['create', ...what, ...files, '--dry-run=client', '-o', 'yaml'], { encoding: 'utf8' });
  rendered.set(cacheKey, yaml);
  return yaml;
};

/** A multi-document manifest, or undefined (and the test skipped) where there is no kubectl. */
export const asManifest = (t: Test, content: Content): string | undefined =>
  requireTool(t, 'kubectl') && Object.entries(content).map(([object, entries]) => render(t, object, entries)).join('---\n');
