// A configuration file → validated data, or every fault at once, before any socket opens. Owns the
// order (size, encoding, YAML, schema) and the error people read; each step is a file of its own.

import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { ZtnaError } from '../errors.js';
import { readBoundedFile } from './bounded-file.js';
import { formatFault, type ConfigFault } from './config-fault.js';
import { withBaseDirectory } from './file-path.js';
import { describeIssues } from './schema-faults.js';
import { assertOwnerOnly } from './secret-file.js';
import { readYaml } from './yaml-source.js';

/** A thousand services with long names take 150 KiB. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
/** A file of another format raises a fault per line; nobody reads past this. */
const MAX_LISTED_FAULTS = 100;

export interface ConfigResult<T> {
  readonly config: T;
  /** Absolute path of the file. */
  readonly path: string;
  /** Its directory: what relative paths in it were resolved against. */
  readonly directory: string;
  /** The line, from 1, of what a key path such as `rules[0].allow` names: for faults that no schema finds. */
  readonly lineOf: (keyPath: string) => number;
}

export interface LoadConfigOptions {
  /** Refuse the file when others than its owner can read it. Default false. */
  readonly secret?: boolean;
}

/**
 * Reads and validates a YAML file. Build `schema` from `z.strictObject`, so that unknown keys are
 * faults; a check across several keys (`superRefine` on an object) only runs once each key is valid.
 *
 * @throws ZtnaError `config_invalid` listing every fault, one per line, as `file:line: key.path: problem`;
 *   `config_unreadable` when the file is missing, not a regular file or larger than 1 MiB;
 *   `key_file_permissions` when `secret` is set and others than the owner can read it
 */
export const loadConfig = <S extends z.ZodType>(path: string, schema: S, options: LoadConfigOptions = {}): ConfigResult<z.output<S>> => {
  const absolute = resolve(path);
  const content = readBoundedFile(absolute, {
    maxBytes: MAX_CONFIG_BYTES,
    code: 'config_unreadable',
    ...(options.secret === true ? { inspect: (stats) => assertOwnerOnly(absolute, stats) } : {}),
  });
  const directory = dirname(absolute);
  const result = parseConfig(content, schema, directory);
  if (!result.ok) throw new ZtnaError('config_invalid', describeFaults(path, result.faults));
  return { config: result.config, path: absolute, directory, lineOf: result.lineOf };
};

export type ParsedConfig<T> = { readonly ok: true; readonly config: T; readonly lineOf: (keyPath: string) => number } | { readonly ok: false; readonly faults: readonly ConfigFault[] };

/** Validates YAML text; `directory` is what its relative paths are relative to. Never throws on content. */
export const parseConfig = <S extends z.ZodType>(content: Uint8Array | string, schema: S, directory: string): ParsedConfig<z.output<S>> => {
  const text = typeof content === 'string' ? content : decodeUtf8(content);
  if (text === undefined) return { ok: false, faults: [{ line: 1, keyPath: '', problem: 'is not UTF-8 text' }] };
  const source = readYaml(text);
  if (source.data === undefined) return { ok: false, faults: source.faults };
  // An empty file lacks every required key; saying which is more help than "not a map". Not for a schema without keys of
  // its own: a policy that is being rewritten is empty for a moment, and must not pass for one without rules.
  const data = source.data ?? (schema instanceof z.ZodObject ? {} : null);
  const parsed = withBaseDirectory(directory, () => schema.safeParse(data));
  if (parsed.success && source.faults.length === 0) return { ok: true, config: parsed.data, lineOf: source.lineOf };
  const issues = parsed.success ? [] : describeIssues(parsed.error.issues, schema, { ...source, data });
  return { ok: false, faults: [...source.faults, ...issues].sort((a, b) => a.line - b.line) };
};

const describeFaults = (path: string, faults: readonly ConfigFault[]): string => {
  const listed = faults.slice(0, MAX_LISTED_FAULTS).map((fault) => formatFault(path, fault));
  const left = faults.length - listed.length;
  return [`${path} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`, ...listed, ...(left > 0 ? [`and ${left} more`] : [])].join('\n');
};

const decodeUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};
