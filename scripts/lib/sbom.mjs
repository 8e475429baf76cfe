// A CycloneDX 1.5 bill of materials of one workspace, from the lock file alone: the same lock file gives the same
// bytes. `npm sbom --workspace` leaves out what only another workspace needs, and so half of what is shipped.

import { createHash } from 'node:crypto';
import { closureOf, fitsPlatform, nameOf } from './lock-closure.mjs';

/**
 * @param {object} lock package-lock.json
 * @param {string} workspace its folder
 * @param {{ os: string, cpu: string, libc: string } | undefined} platform where it will run; undefined: packages of every platform
 */
export const createSbom = (lock, workspace, platform) => {
  const closure = closureOf(lock, workspace);
  const kept = [...closure].filter(([, { entry }]) => platform === undefined || fitsPlatform(entry, platform));
  const references = new Map(kept.map(([place, { entry }]) => [place, referenceOf(place, entry)]));
  const [[, { entry: top }], ...others] = kept;
  const components = others.map(([place, { entry }]) => componentOf(references.get(place), place, entry));
  const dependencies = kept.map(([place, { needs }]) => ({
    ref: references.get(place),
    dependsOn: [...new Set(needs.filter((need) => references.has(need)).map((need) => references.get(need)))].sort(),
  }));
  const body = {
    metadata: { lifecycles: [{ phase: 'build' }], component: { ...componentOf(references.get(workspace), workspace, top), type: 'application' } },
    components: unique(components, 'bom-ref'),
    dependencies: unique(dependencies, 'ref'),
  };
  return { $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json', bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber: serialOf(body), version: 1, ...body };
};

const referenceOf = (place, entry) => `pkg:npm/${nameOf(place, entry).replace('@', '%40')}@${entry.version}`;

const componentOf = (reference, place, entry) => ({
  type: 'library',
  'bom-ref': reference,
  name: nameOf(place, entry),
  version: entry.version,
  ...(entry.optional && { scope: 'optional' }),
  ...(entry.integrity && { hashes: hashesOf(entry.integrity) }),
  ...(entry.license && { licenses: [licenseOf(entry.license)] }),
  purl: reference,
});

/** Subresource Integrity, as npm writes it, to CycloneDX's algorithm and hexadecimal. */
const hashesOf = (integrity) =>
  integrity.split(' ').map((one) => {
    const [algorithm, base64] = one.split('-', 2);
    return { alg: algorithm.toUpperCase().replace('SHA', 'SHA-'), content: Buffer.from(base64, 'base64').toString('hex') };
  });

/** One SPDX id, or an expression of several. */
const licenseOf = (license) => (/^[A-Za-z0-9.+-]+$/.test(license) ? { license: { id: license } } : { expression: license.replace(/^\((.*)\)$/, '$1') });

/** Sorted, and one of each: a version may be installed in two places. */
const unique = (list, key) => [...new Map(list.map((one) => [one[key], one])).values()].sort((a, b) => (a[key] < b[key] ? -1 : 1));

/** A UUID (version 8, RFC 9562 §5.8) of the content, so that nothing but the content changes it. */
const serialOf = (body) => {
  const hex = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const variant = ((Number.parseInt(hex[16], 16) & 3) | 8).toString(16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};
