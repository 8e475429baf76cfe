// The throw-away PKI: a CA, one certificate per process, one registration key per client. Made anew on every start,
// which takes some milliseconds, rather than checked and reused: a key that is thrown away cannot leak later.

import { join } from 'node:path';
import {
  addToKeyring, createAuthority, generateRegistrationKey, issueCertificate, writePublicFile, writeSecretFile,
  type CertificateRequest, type KeyScope,
} from '@ztna/certs';
import { AGENT, CONNECTOR, RELAY, SERVICE, TRUST_DOMAIN } from './names.js';

const KEYRING_FILE = 'keyring.yaml';
/** Longer than anyone leaves a quickstart running; the CA a day more, as no certificate may outlive it. */
const VALID_DAYS = 7;

/** Every file that `makePki` writes; of these, all but certificates are secret. */
export const PKI_FILES = [
  ...['ca', RELAY, CONNECTOR, AGENT].flatMap((name) => [`${name}.crt`, `${name}.key`]),
  ...[CONNECTOR, AGENT].map((name) => `${name}.regkey`),
  KEYRING_FILE,
];

/** Writes the PKI into an existing directory where none of `PKI_FILES` exists; secrets with mode 0600. */
export const makePki = (directory: string): void => {
  const authority = createAuthority({ trustDomain: TRUST_DOMAIN, days: VALID_DAYS + 1 });
  const write = (name: string, pair: { certificatePem: string; keyPem: string }): void => {
    writePublicFile(join(directory, `${name}.crt`), pair.certificatePem);
    writeSecretFile(join(directory, `${name}.key`), pair.keyPem);
  };
  const issue = (request: CertificateRequest): void => write(request.name, issueCertificate(authority, { ...request, days: VALID_DAYS }));
  write('ca', authority);
  issue({ role: 'relay', name: RELAY });
  issue({ role: 'connector', name: CONNECTOR, services: [SERVICE] });
  issue({ role: 'agent', name: AGENT });
  addKey(directory, CONNECTOR, { role: 'connector', identities: [CONNECTOR], services: [SERVICE] });
  addKey(directory, AGENT, { role: 'agent', identities: [AGENT], services: [] });
};

/** NAME.regkey for the client, and its public half in the relay's keyring. */
const addKey = (directory: string, name: string, scope: KeyScope): void => {
  const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: name, scope });
  addToKeyring(join(directory, KEYRING_FILE), keyringEntry, () => writeSecretFile(join(directory, `${name}.regkey`), keyFileYaml));
};
