// A YAML file whose parser is not a zod schema of ours (keyring, policy, registration key): read,
// parsed, and every fault reported at once in the form of load-config.ts.

import { z } from 'zod';
import { ZtnaError } from '../errors.js';
import { formatFault } from './config-fault.js';
import { loadConfig, type LoadConfigOptions } from './load-config.js';

export interface DocumentFault {
  /** Key path; empty for the whole document. */
  readonly path: string;
  readonly message: string;
}

/**
 * Reads a YAML file and parses it.
 *
 * @throws ZtnaError `config_invalid` with every fault, one a line; `config_unreadable` and
 *   `key_file_permissions` as `loadConfig`
 */
export const loadDocument = <T extends { ok: true } | { ok: false; faults: readonly DocumentFault[] }>(
  path: string,
  parse: (value: unknown) => T,
  options: LoadConfigOptions = {},
): Extract<T, { ok: true }> => {
  const { config, lineOf } = loadConfig(path, z.unknown(), options);
  const parsed = parse(config);
  if (parsed.ok) return parsed as Extract<T, { ok: true }>;
  const faults = parsed.faults.map(({ path: keyPath, message: problem }) => ({ line: lineOf(keyPath), keyPath, problem })).sort((a, b) => a.line - b.line);
  throw new ZtnaError('config_invalid', faults.map((fault) => formatFault(path, fault)).join('\n'));
};
