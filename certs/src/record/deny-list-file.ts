// The relay's deny list: adds serial numbers and identities and keeps everything else, comments included, as it was.
// Its syntax is @ztna/protocol's (machine/relay/revocations.ts), which also judges what would be written.

import { existsSync, statSync } from 'node:fs';
import { MAX_CONFIG_BYTES, parseIdentity, parseRevocations, ZtnaError, type Revocations } from '@ztna/protocol';
import { isMap, isScalar, isSeq, parseDocument, type Document } from 'yaml';
import { PUBLIC_MODE } from '../files/secret-file.js';
import { editYamlFile } from '../files/yaml-edit.js';

/** What to deny: one certificate, or every one of a name. */
export type Denied = { readonly serial: string } | { readonly identity: string };

/**
 * Adds an entry to the deny list at `path`, making it if it is missing. Its mode and owner stay.
 * @returns false when it was there already
 * @throws ZtnaError `config_invalid` when the file is no deny list; `file_locked`, `file_unreadable`, `file_unwritable`
 */
export const addToDenyList = (path: string, denied: Denied): boolean => {
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : PUBLIC_MODE;
  return editYamlFile(path, { mode, edit: (current) => withDenied(current, denied, path) });
};

/**
 * The deny list text `current` (empty: none yet) with the entry, or undefined if it is denied already.
 * @throws ZtnaError `config_invalid`
 */
export const withDenied = (current: string, denied: Denied, path: string): string | undefined => {
  const document = parseDocument(current);
  if (document.errors.length > 0) throw invalid(path, `is not valid YAML: ${document.errors[0]!.code}`);
  const parsed = parseRevocations(contentOf(document, path) ?? {});
  if (!parsed.ok) throw invalid(path, `has a fault: ${parsed.faults.map((fault) => `${fault.path}: ${fault.message}`).join('; ')}`);
  if (isDenied(parsed.revocations, denied)) return undefined;
  const [key, value] = 'serial' in denied ? ['serials', denied.serial.toLowerCase()] : ['identities', denied.identity];
  const list = listOf(document, key);
  const entry = document.createNode(value);
  // Quoted: without, YAML reads a serial number of digits as a number.
  if (key === 'serials' && isScalar(entry)) entry.type = 'QUOTE_DOUBLE';
  list.add(entry);
  const text = document.toString({ lineWidth: 0 });
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES)
    throw invalid(path, `is full: relays read no more than ${MAX_CONFIG_BYTES} bytes of it. Take out serial numbers of certificates that have expired, or deny identities instead`);
  return text;
};

/** The relay takes no YAML aliases either. */
const contentOf = (document: Document, path: string): unknown => {
  try {
    return document.toJS({ maxAliasCount: 0 }) as unknown;
  } catch {
    throw invalid(path, 'holds a YAML alias (*name) or something else that is no plain value');
  }
};

const isDenied = (revocations: Revocations, denied: Denied): boolean => {
  if ('serial' in denied) return revocations.hasSerial(denied.serial);
  const identity = parseIdentity(`spiffe://any/${denied.identity}`);
  return identity !== undefined && revocations.hasIdentity(identity);
};

/** The list under `key`, made where there is none yet. */
const listOf = (document: Document, key: string): { add(node: unknown): void } => {
  if (!isMap(document.contents)) document.contents = document.createNode({});
  const map = document.contents;
  map.flow = false;
  const list: unknown = map.get(key, true);
  if (isSeq(list)) return list;
  const made = document.createNode([]);
  map.set(key, made);
  return made;
};

const invalid = (path: string, problem: string): ZtnaError => new ZtnaError('config_invalid', `${path} ${problem}; nothing was added`);
