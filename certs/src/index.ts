// What tests and the quickstart import: the CA, certificates and registration keys without the command line.
export { createAuthority, type Authority, type AuthorityInit } from './authority.js';
export {
  issueCertificate, signCertificate,
  type CertificateRequest, type ExplicitCertificate, type IssuedCertificate,
} from './issue-certificate.js';
export { inspectCertificate, type CheckResult, type Inspection, type InspectionInput, type Problem } from './inspect.js';
export { parseCertificates, type ParsedCertificate } from './x509/certificate-reader.js';
export { parsePrivateKey } from './x509/key-pair.js';
export type { KeyUsage, Purpose } from './x509/object-identifiers.js';
export {
  generateRegistrationKey, KEY_ALGORITHMS,
  type KeyAlgorithm, type KeyringEntry, type KeyScope, type RegistrationKey, type RegistrationKeyRequest,
} from './registration/registration-key.js';
export { addToKeyring } from './registration/keyring-file.js';
export { readSecretFile, writePublicFile, writeSecretFile, type WriteOptions } from './files/secret-file.js';
export { renewCertificate } from './issue-certificate.js';
export { makeDirectory } from './files/make-directory.js';
export { appendLine } from './files/append-file.js';
export { withDenied, addToDenyList, type Denied } from './record/deny-list-file.js';
export { formatRecord, parseRecords, parseSerial, recordOf, type IssuedRecord, type IssuedRecords } from './record/issued-record.js';
export { listCertificates, type CertificateState, type ListedCertificate } from './record/certificate-list.js';
