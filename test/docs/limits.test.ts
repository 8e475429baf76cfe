// docs/limits.md against what can be configured and what is counted: the keys it names are those of the schema with
// their defaults, each is a label of the metric, and a bound without a key says why.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { z } from 'zod';
import { LIMIT_NAMES, limitsSection } from '@ztna/intermediate-server';

const page = readFileSync(new URL('../../../docs/limits.md', import.meta.url), 'utf8');

interface Row {
  readonly name: string;
  /** The cells after the name; the last is the key. */
  readonly cells: readonly string[];
}

const rows: Row[] = [...page.matchAll(/^\| (`[\w.]+`|client\.\w+) \| (.*) \|$/gm)].map(([, name, rest]) => ({ name: name!, cells: rest!.split('|').map((cell) => cell.trim()) }));
const keyOf = ({ cells }: Row): string => cells.at(-1)!;
const keyed = rows.filter((row) => keyOf(row).startsWith('`limits.')).map((row) => ({ ...row, key: keyOf(row).slice('`limits.'.length, -1) }));

/** A rate is one limit, though it has two keys. */
const limitOf = (key: string): string => key.replace(/\.(perSecond|burst)$/, '');

void t.test('each key below limits stands at exactly one bound, or two for a rate, and no other does', async (t) => {
  // Of a client's rates one row gives both.
  const documented = keyed.flatMap(({ name, key }) => (name.startsWith('client.') ? [`${key}.perSecond`, `${key}.burst`] : [key]));
  t.strictSame(documented.sort(), leaves(z.toJSONSchema(limitsSection, { io: 'input', unrepresentable: 'any' }) as Node).sort());
});

void t.test('the default of each key is the value of its row', async (t) => {
  const defaults = limitsSection.parse(undefined);
  for (const { name, key, cells } of keyed) {
    if (name.startsWith('client.')) {
      const { perSecond, burst } = at(defaults, key) as { perSecond: number; burst: number };
      t.equal(cells[0], `${perSecond}/s, burst ${burst}`, key);
    } else t.equal(at(defaults, key), Number(cells[0]!.replaceAll(' ', '')), key);
  }
});

void t.test('each key is counted in the metric under its own name, and nothing else is', async (t) => {
  t.strictSame([...LIMIT_NAMES].sort(), [...new Set(keyed.map(({ key }) => limitOf(key)))].sort());
});

void t.test('a bound without a key says why it is fixed, in one of the words the page explains', async (t) => {
  const words = [...page.slice(page.indexOf('| fixed as |'), page.indexOf('## Workers')).matchAll(/^\| (\w+) \|/gm)].map(([, word]) => word!).filter((word) => word !== 'fixed');
  t.ok(words.length >= 4);
  const fixed = rows.filter((row) => !keyOf(row).startsWith('`limits.'));
  t.ok(fixed.length > 100);
  for (const row of fixed) t.ok(words.includes(keyOf(row)), `${row.name}: ${keyOf(row)}`);
});

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
}

function leaves(node: Node, path = ''): string[] {
  return node.properties ? Object.entries(node.properties).flatMap(([key, child]) => leaves(child, path === '' ? key : `${path}.${key}`)) : [path];
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce((inner, key) => (inner as Record<string, unknown>)[key], value);
}
