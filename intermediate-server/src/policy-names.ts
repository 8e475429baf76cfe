// Names in the policy that nobody can have: a rule for them does nothing, and is most often a typing error. No fault, as
// a policy may be written before its agents are enrolled.

import type { Keyring, Logger, Policy } from '@ztna/protocol';

/** A name in policy.yaml that no registration key covers. */
export interface UnknownName {
  readonly kind: 'agent' | 'service';
  readonly name: string;
}

/** Sorted; empty when every name may register by some key of the keyring. */
export const unknownNames = (policy: Policy, keyring: Keyring): UnknownName[] => {
  const scopes = keyring.keyIds.map((keyId) => keyring.find(keyId)!.scope);
  const covers = (names: ReadonlySet<string> | '*', name: string): boolean => names === '*' || names.has(name);
  const agents = policy.agents.filter((name) => !scopes.some(({ role, identities }) => role === 'agent' && covers(identities, name)));
  const services = policy.services.filter((name) => !scopes.some((scope) => scope.role === 'connector' && covers(scope.services, name)));
  return [...agents.sort().map((name) => ({ kind: 'agent' as const, name })), ...services.sort().map((name) => ({ kind: 'service' as const, name }))];
};

/** For `check`. */
export const describeUnknown = ({ kind, name }: UnknownName): string => `the policy names the ${kind} ${name}, which no key of the keyring may register`;

/** At the start and at every reload. */
export const warnOfUnknownNames = ({ policy, keyring }: { readonly policy: Policy; readonly keyring: Keyring }, log: Logger): void => {
  const names = unknownNames(policy, keyring).map(({ kind, name }) => `${kind} ${name}`);
  if (names.length > 0) log.warn('policy_names_unknown', { names });
};
