// One fault of a configuration file and how it reads: `relay.yaml:3: tls.key: is missing; must be …`.
// Owns the wording of places and values; finding faults is yaml-source.ts (syntax) and schema-faults.ts.

import { quoteText } from '../log/escape-text.js';
import { isSecretName } from '../log/redact.js';

/** Keys and list positions from the top of the file. */
export type KeyPath = readonly PropertyKey[];

export interface ConfigFault {
  /** From 1. */
  readonly line: number;
  /** `services.web.backend`, `relays[0].name`; empty for the file as a whole. */
  readonly keyPath: string;
  /** What is wrong and what is allowed. */
  readonly problem: string;
}

const MAX_SHOWN = 60;

export const formatFault = (file: string, fault: ConfigFault): string =>
  `${file}:${fault.line}: ${fault.keyPath === '' ? '' : `${fault.keyPath}: `}${fault.problem}`;

export const formatKeyPath = (path: KeyPath): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const key = String(part);
    if (!/^[\w-]{1,64}$/.test(key)) return `${text}[${showText(key)}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');

/** A value as a fault shows it; undefined when any key on the way names a secret. */
export const showValue = (value: unknown, path: KeyPath): string | undefined => {
  if (path.some((part) => typeof part === 'string' && isSecretName(part))) return undefined;
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  // Text where a whole file should be a map: some other file, perhaps a key.
  if (typeof value === 'string') return path.length === 0 ? 'text' : showText(value);
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : 'a map';
};

const showText = (text: string): string =>
  text.length <= MAX_SHOWN ? quoteText(text) : `${quoteText(text.slice(0, MAX_SHOWN))}… (${text.length} characters)`;
