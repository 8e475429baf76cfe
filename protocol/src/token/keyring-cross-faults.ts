// Faults of a keyring that no single field shows: the algorithm against the key material, the two ends of
// the validity, key ids used twice. Works on the raw value, so that they are reported along with
// the faults of single fields (keyring.ts) and not only once those are gone.

import type { KeyFault } from './key-material.js';

type RawKey = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is RawKey => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Which field holds the key, and which must not be there. */
const MATERIAL = {
  ed25519: { needs: 'publicKey', refuses: 'secret', why: 'must not be here: a relay needs only the public key' },
  'hmac-sha256': { needs: 'secret', refuses: 'publicKey', why: 'must not be here: hmac-sha256 has no public key' },
} as const;

const isAlgorithm = (value: unknown): value is keyof typeof MATERIAL => typeof value === 'string' && Object.hasOwn(MATERIAL, value);

const materialFaults = ({ algorithm, ...key }: RawKey, path: string): KeyFault[] => {
  if (!isAlgorithm(algorithm)) return [];
  const { needs, refuses, why } = MATERIAL[algorithm];
  const faults: KeyFault[] = [];
  if (key[needs] === undefined) faults.push({ path: `${path}.${needs}`, message: `is required for ${algorithm}` });
  if (key[refuses] !== undefined) faults.push({ path: `${path}.${refuses}`, message: why });
  return faults;
};

const validityFaults = ({ notBefore, notAfter }: RawKey, path: string): KeyFault[] => {
  if (typeof notBefore !== 'string' || typeof notAfter !== 'string') return [];
  if (!(Date.parse(notBefore) >= Date.parse(notAfter))) return [];
  return [{ path: `${path}.notAfter`, message: `is ${notAfter}; must be later than notBefore, ${notBefore}` }];
};

/** Never throws; entries of the wrong shape are left to the schema. */
export const keyringCrossFaults = (value: unknown): KeyFault[] => {
  if (!isRecord(value) || !Array.isArray(value['keys'])) return [];
  const firstUse = new Map<string, string>();
  return (value['keys'] as unknown[]).flatMap((key, index) => {
    if (!isRecord(key)) return [];
    const path = `keys[${index}]`;
    const faults = [...materialFaults(key, path), ...validityFaults(key, path)];
    const keyId = key['keyId'];
    if (typeof keyId !== 'string') return faults;
    const first = firstUse.get(keyId);
    if (first === undefined) firstUse.set(keyId, path);
    else faults.push({ path: `${path}.keyId`, message: `is the key id of ${first} already` });
    return faults;
  });
};
