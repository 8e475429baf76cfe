// An inspection as lines for people. Certificates come from anyone, so no byte of one reaches the terminal unescaped.

import type { Inspection } from './inspect.js';
import { formatInstant } from './validity.js';

export const inspectionText = (inspection: Inspection): string => {
  const rows: [string, string][] = [
    [inspection.kind === 'authority' ? 'authority' : 'identity', identityText(inspection)],
    ['subject', inspection.subject ?? 'none'],
    ['issuer', inspection.issuer ?? 'none'],
    ['URI SAN', list(inspection.uris)],
    ['DNS SAN', list(inspection.dnsNames)],
    ['services', list(inspection.services)],
    ['purposes', list(inspection.purposes)],
    ['key usage', list(inspection.keyUsages)],
    ['valid from', formatInstant(new Date(inspection.notBefore))],
    ['valid until', `${formatInstant(new Date(inspection.notAfter))} (${daysText(inspection)})`],
    ['serial', inspection.serial],
    ['SHA-256', inspection.fingerprintSha256],
    ['chain', inspection.chain],
    ['key', inspection.key],
  ];
  const lines = rows.map(([label, value]) => `${label.padEnd(12)} ${printable(value)}`);
  for (const problem of inspection.problems) lines.push(printable(`problem      ${problem.code}: ${problem.message}`));
  return `${lines.join('\n')}\n`;
};

const identityText = ({ kind, identity, trustDomain }: Inspection): string =>
  kind === 'authority' ? `CA of ${trustDomain ?? 'no trust domain'}` : (identity ?? 'none');

const daysText = ({ daysLeft }: Inspection): string =>
  daysLeft >= 0 ? `${daysLeft} ${daysLeft === 1 ? 'day' : 'days'} left` : 'expired';

const list = (items: readonly string[]): string => (items.length === 0 ? 'none' : items.join(', '));

/** Control and formatting characters, which could repaint a terminal, as `\u{…}`. */
export const printable = (text: string): string =>
  text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
