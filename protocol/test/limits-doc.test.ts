// docs/limits.md against the code: every value it names is the one in the file it names, and no exported
// bound is missing from it.

import { readFileSync } from 'node:fs';
import t from 'tap';
import * as protocol from '@ztna/protocol';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

interface Row {
  readonly name: string;
  readonly value: number;
  readonly file: string;
}

const rows: Row[] = [...read('docs/limits.md').matchAll(/^\| `([\w.]+)` \| ([\d ]+) \| [^|]+ \| `([\w./-]+)` \|/gm)].map(
  ([, name, value, file]) => ({ name: name!, value: Number(value!.replaceAll(' ', '')), file: file! }),
);

void t.test('every row of the tables is read', async (t) => {
  const tableRows = read('docs/limits.md').split('\n').filter((line) => line.startsWith('| `'));
  t.equal(rows.length, tableRows.length);
  t.ok(rows.length > 60);
});

void t.test('every value is the one in its file', async (t) => {
  for (const { name, value, file } of rows) t.equal(valueOf(name, file), value, `${name} in ${file}`);
});

void t.test('every rate is the one in the code', async (t) => {
  const page = read('docs/limits.md');
  for (const [name, { perSecond, burst }] of Object.entries<protocol.Rate>({ ...protocol.DEFAULT_CONNECTION_RATES }))
    t.ok(page.includes(`| client.${name} | ${perSecond}/s, burst ${burst} |`), name);
});

void t.test('every exported bound is documented', async (t) => {
  const documented = new Set(rows.map(({ name }) => name));
  const bounds = Object.entries(protocol).filter(([name, value]) => /^MAX_/.test(name) && typeof value === 'number');
  // Derived from two others; in the sizes table of docs/wire-format.md.
  const missing = bounds.map(([name]) => name).filter((name) => !documented.has(name) && name !== 'MAX_RELAYED_DATAGRAM_BYTES');
  t.strictSame(missing, []);
  for (const limits of [protocol.DEFAULT_RELAY_LIMITS, protocol.DEFAULT_AGENT_LIMITS, protocol.DEFAULT_CONNECTOR_LIMITS])
    for (const name of Object.keys(limits)) t.ok(documented.has(name), `${name} is documented`);
});

/** An exported constant by its name; a private one, or a key of a table of limits, out of its source. */
function valueOf(name: string, file: string): number | undefined {
  const source = read(file);
  const [table, ...keys] = name.split('.');
  if (keys.length > 0) {
    let value: unknown = (protocol as Record<string, unknown>)[table!];
    for (const key of keys) value = (value as Record<string, unknown> | undefined)?.[key];
    return typeof value === 'number' ? value : undefined;
  }
  const exported = (protocol as Record<string, unknown>)[name];
  if (typeof exported === 'number' && new RegExp(`export const ${name}\\b`).test(source)) return exported;
  const assigned = new RegExp(`(?:const ${name} = |^  ${name}: )([^;,\\n]+)[;,]`, 'm').exec(source)?.[1];
  return assigned === undefined ? undefined : product(assigned);
}

/** `4 * 1024 * 1024`, `30_000`, `0xff_ffff`, or the name of an exported constant. */
function product(text: string): number {
  return text.split('*').map((factor) => {
    const word = factor.trim();
    const exported = (protocol as Record<string, unknown>)[word];
    return typeof exported === 'number' ? exported : Number(word.replaceAll('_', ''));
  }).reduce((result, factor) => result * factor, 1);
}
