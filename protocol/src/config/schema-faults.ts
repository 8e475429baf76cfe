// zod's issues → faults for people: key path, the value, what is allowed, and a guess at a mistyped key.
// A schema whose own message starts with "must" is quoted; every other issue is worded here.

import type { z } from 'zod';
import { formatKeyPath, showValue, type ConfigFault, type KeyPath } from './config-fault.js';
import { knownKeys } from './schema-keys.js';
import { suggestName } from './suggestion.js';
import type { YamlSource } from './yaml-source.js';

type Issue = z.core.$ZodIssue;

/** Every issue of a failed parse as faults, in the file's order. */
export const describeIssues = (issues: readonly Issue[], schema: z.ZodType, source: YamlSource): ConfigFault[] =>
  issues
    .flatMap((issue) => describeIssue(issue, [], schema, source))
    .map((fault, index) => ({ fault, index }))
    .sort((a, b) => a.fault.line - b.fault.line || a.index - b.index)
    .map(({ fault }) => fault);

const describeIssue = (issue: Issue, prefix: KeyPath, schema: z.ZodType, source: YamlSource): ConfigFault[] => {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schema, path);
    return issue.keys.map((key) => describeUnknownKey([...path, key], known, source));
  }
  if (issue.code === 'invalid_union') {
    const branch = closestBranch(issue.errors);
    if (branch) return branch.flatMap((inner) => describeIssue(inner, path, schema, source));
  }
  if (issue.code === 'invalid_key')
    return [fault(path, `is not allowed as a key; ${requirement(issue.issues[0] ?? issue)}`, source)];
  const keys = issue.code === 'invalid_type' && issue.expected === 'object' ? knownKeys(schema, path) : [];
  const required = keys.length > 0 ? `must be a map with the ${keys.length === 1 ? `one key "${String(keys[0])}"` : `keys ${keys.join(', ')}`}` : requirement(issue);
  return [fault(path, `${describeValue(valueAt(source.data, path), path)}; ${required}`, source)];
};

const fault = (path: KeyPath, problem: string, source: YamlSource): ConfigFault => {
  const keyPath = formatKeyPath(path);
  return { line: source.lineOf(keyPath), keyPath, problem };
};

const describeValue = (value: unknown, path: KeyPath): string => {
  if (value === undefined) return 'is missing';
  const shown = showValue(value, path);
  return shown === undefined ? 'is not valid (value not shown)' : `is ${shown}`;
};

const describeUnknownKey = (path: KeyPath, known: readonly string[], source: YamlSource): ConfigFault => {
  const guess = suggestName(String(path.at(-1)), known);
  const hint = guess === undefined ? `known keys: ${known.join(', ') || 'none'}` : `did you mean ${JSON.stringify(guess)}?`;
  return fault(path, `is not a known key; ${hint}`, source);
};

/** The alternative that got furthest, if one did; when all failed on the value itself, none stands out. */
const closestBranch = (branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined => {
  const inside = branches.filter((issues) => issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'));
  return inside.sort((a, b) => a.length - b.length)[0];
};

/** An issue as the parser of a document reports it (load-document.ts): each unknown key is a fault of its own. */
export const documentFaults = (issue: Issue): { readonly path: string; readonly message: string }[] =>
  issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ path: formatKeyPath([...issue.path, key]), message: 'unknown key' }))
    : [{ path: formatKeyPath(issue.path), message: requirement(issue) }];

/** `must …`: what would have been accepted. */
const requirement = (issue: Issue): string => {
  if (issue.message.startsWith('must ')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must ${bound('at least', issue.minimum, issue.origin, issue.inclusive)}`;
    case 'too_big':
      return `must ${bound('at most', issue.maximum, issue.origin, issue.inclusive)}`;
    case 'invalid_union': {
      const all = issue.errors.flatMap((branch) => branch.slice(0, 1)).map((inner) => requirement(inner).replace(/^must be /, ''));
      return `must be ${[...new Set(all)].join(', or ')}`;
    }
    default:
      return issue.message;
  }
};

const TYPES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  nonoptional: 'given',
};

const bound = (side: string, limit: number | bigint, origin: string, inclusive: boolean | undefined): string => {
  if (origin === 'string') return `have ${side} ${limit} characters`;
  if (origin === 'array' || origin === 'set') return `have ${side} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  if (inclusive === false) return `be ${side === 'at least' ? 'more than' : 'less than'} ${limit}`;
  return `be ${side} ${limit}`;
};

const valueAt = (data: unknown, path: KeyPath): unknown =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as Record<PropertyKey, unknown>)[part] : undefined,
    data,
  );
