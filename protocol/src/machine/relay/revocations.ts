// The deny list: certificates and identities that may not be connected, whatever else is in order.
//
//   serials:    [0f3a…]                          # hexadecimal, as `ztna-certs inspect` prints it
//   identities: [agent/alice, connector/db-1]    # every certificate of that name
//
// Owns its syntax and the question; acting on it is the machine's review.

import { z } from 'zod';
import { documentFaults } from '../../config/schema-faults.js';
import { isName, ROLES, type Identity } from '../../identity.js';
import type { PolicyFault } from './policy-parse.js';

export class Revocations {
  readonly #serials: ReadonlySet<string>;
  readonly #identities: ReadonlySet<string>;

  /** @param serials lower-case hexadecimal without leading zeros; @param identities `<role>/<name>` */
  constructor(serials: Iterable<string>, identities: Iterable<string>) {
    this.#serials = new Set(serials);
    this.#identities = new Set(identities);
  }

  get size(): number {
    return this.#serials.size + this.#identities.size;
  }

  equals(other: Revocations): boolean {
    return hasSameMembers(this.#serials, other.#serials) && hasSameMembers(this.#identities, other.#identities);
  }

  /** @param serial the certificate's, hexadecimal in any form */
  revokes(identity: Identity, serial: string): boolean {
    return this.hasIdentity(identity) || this.hasSerial(serial);
  }

  /** Whether every certificate of that name is on the list. */
  hasIdentity({ role, name }: Pick<Identity, 'role' | 'name'>): boolean {
    return this.#identities.has(`${role}/${name}`);
  }

  /** @param serial hexadecimal in any form */
  hasSerial(serial: string): boolean {
    return this.#serials.has(normalSerial(serial));
  }
}

const hasSameMembers = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean => a.size === b.size && [...a].every((member) => b.has(member));

export const NOTHING_REVOKED = new Revocations([], []);

export type ParseRevocationsResult =
  | { readonly ok: true; readonly revocations: Revocations }
  | { readonly ok: false; readonly faults: readonly PolicyFault[] };

/** RFC 5280 §4.1.2.2: serial numbers are at most 20 octets. Colons and leading zeros are how tools differ. */
const normalSerial = (text: string): string => text.toLowerCase().replaceAll(':', '').replace(/^0+(?=.)/, '');

const serial = z
  .string({ error: 'must be text: put a serial number in quotes, or YAML reads digits as a number' })
  .refine((text) => /^[0-9a-f]{1,40}$/.test(normalSerial(text)), 'must be a serial number in hexadecimal, at most 20 bytes')
  .transform(normalSerial);

const identity = z.string().refine(
  (text) => {
    const [role, name, ...rest] = text.split('/');
    return rest.length === 0 && ROLES.some((known) => known === role) && name !== undefined && isName(name);
  },
  `must be <role>/<name> with role ${ROLES.join(', ')}, such as agent/alice`,
);

const schema = z.strictObject({ serials: z.array(serial).default([]), identities: z.array(identity).default([]) });

/** Every fault at once. An empty document is a fault: a file cut short must not bring anyone back. */
export const parseRevocations = (value: unknown): ParseRevocationsResult => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, revocations: new Revocations(parsed.data.serials, parsed.data.identities) };
  return { ok: false, faults: parsed.error.issues.flatMap(documentFaults) };
};
