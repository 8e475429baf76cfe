// Whether a registration accepted earlier would still be: asked when the keyring was reloaded or a
// key ran out. The token itself is long used up; what remains is the key it was signed with.

import type { FailureCode } from '../failure-codes.js';
import type { Identity } from '../identity.js';
import { isKeyActive, outsideScope, type Keyring } from './keyring.js';

/**
 * Why the registration no longer stands, or undefined.
 *
 * @param now wall clock, milliseconds since the Unix epoch
 */
export const registrationFault = (
  keyring: Keyring,
  registration: { readonly keyId: string; readonly identity: Identity; readonly services: Iterable<string> },
  now: number,
): FailureCode | undefined => {
  const key = keyring.find(registration.keyId);
  if (!key) return 'token_unknown_key';
  if (!isKeyActive(key, now)) return 'token_key_inactive';
  return outsideScope(key.scope, registration.identity, registration.services) ? 'token_out_of_scope' : undefined;
};
