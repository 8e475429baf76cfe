// Reads a policy out of a parsed policy.yaml:
//
//   groups: {dev: [alice, bob]}
//   rules:  [{allow: [alice, "group:dev"], services: [web, ssh-box]}]
//
// Owns syntax and references, and reports every fault at once by key path; files are the config's.

import { z } from 'zod';
import { formatKeyPath } from '../../config/config-fault.js';
import { documentFaults } from '../../config/schema-faults.js';
import { isName, NAME_RULE } from '../../identity.js';
import { Policy } from './policy.js';

export interface PolicyFault {
  /** As in `rules[0].allow[1]`; empty for the whole document. */
  readonly path: string;
  readonly message: string;
}

export type ParsePolicyResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly faults: readonly PolicyFault[] };

const GROUP_PREFIX = 'group:';
const GROUP_NAME_FAULT = `not a valid group name: ${NAME_RULE}`;
/** zod leaves this key out of records without a word; here nothing goes unsaid. */
const SKIPPED_KEY = '__proto__';
const SKIPPED_KEY_FAULT: PolicyFault = { path: `groups.${SKIPPED_KEY}`, message: GROUP_NAME_FAULT };

/**
 * Parses a policy document. Empty or missing `rules` deny everything; an empty document (null) is
 * a fault, so that a truncated file can't silently revoke every session on reload.
 */
export const parsePolicy = (value: unknown): ParsePolicyResult => {
  const names = groupNames(value);
  const parsed = policySchema(names).safeParse(value);
  const faults = [...(names.has(SKIPPED_KEY) ? [SKIPPED_KEY_FAULT] : []), ...faultsOf(parsed.error)];
  if (!parsed.success || faults.length > 0) return { ok: false, faults };
  const { groups, rules } = parsed.data;
  const expand = (entry: string): readonly string[] =>
    entry.startsWith(GROUP_PREFIX) ? groups[entry.slice(GROUP_PREFIX.length)]! : [entry];
  return {
    ok: true,
    policy: new Policy(rules.map((rule) => ({ agents: rule.allow.flatMap(expand), services: rule.services }))),
  };
};

/** The schema knows the group names, so a dangling reference is reported along with every other fault. */
const policySchema = (groups: ReadonlySet<string>) => {
  const name = z.string().refine(isName, { error: (issue) => `${quote(issue.input)} is not a name: ${NAME_RULE}` });
  const allowEntry = z.string().superRefine((entry, context) => {
    const message = allowEntryFault(entry, groups);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
  return z.strictObject({
    groups: z.record(name, z.array(name)).default({}),
    rules: z.array(z.strictObject({ allow: z.array(allowEntry), services: z.array(name) })).default([]),
  });
};

const allowEntryFault = (entry: string, groups: ReadonlySet<string>): string | undefined => {
  if (entry.startsWith(GROUP_PREFIX)) {
    const group = entry.slice(GROUP_PREFIX.length);
    return groups.has(group) ? undefined : `there is no group ${quote(group)} under groups`;
  }
  return isName(entry) ? undefined : `${quote(entry)} is neither group:<name> nor an agent name: ${NAME_RULE}`;
};

const groupNames = (value: unknown): ReadonlySet<string> => {
  if (typeof value !== 'object' || value === null || !('groups' in value)) return new Set();
  const { groups } = value;
  return new Set(typeof groups === 'object' && groups !== null ? Object.keys(groups) : []);
};

const faultsOf = (error: z.ZodError | undefined): PolicyFault[] => (error?.issues ?? []).flatMap(toFaults);

const toFaults = (issue: z.core.$ZodIssue): PolicyFault[] =>
  issue.code === 'invalid_key' ? [{ path: formatKeyPath(issue.path), message: GROUP_NAME_FAULT }] : documentFaults(issue);

const quote = (value: unknown): string => JSON.stringify(value);
